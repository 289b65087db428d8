//! `converse chat`: the conversation and the commands.

use crate::{
    command_line::{end, interrupt, read_until, run, start},
    errors,
    events::*,
    fake::{Answer, Fake},
};
use switchboard_client::{assistant, system, user};
use tokio::io::AsyncWriteExt as _;

#[tokio::test]
async fn sends_the_whole_conversation_with_every_turn() {
    let fake = Fake::playing([Answer::Events(says(&["One."])), Answer::Events(says(&["Two."]))]).await;

    let done = run(&fake.address, &["chat", "-q", "-t", "coding", "-s", "Count."], "first\n\nsecond\n").await;

    assert_eq!((done.stdout.as_str(), done.stderr.as_str(), done.code), ("One.\nTwo.\n", "", Some(0)));
    let [first, second] = &fake.seen()[..] else { panic!("two turns") };
    assert_eq!(first.request.messages, [user("first")]);
    assert_eq!(second.request.messages, [user("first"), assistant("One."), user("second")]);
    assert_eq!(
        (second.request.task_type.as_str(), &second.request.system[..]),
        ("coding", &[system("Count.")][..])
    );
}

#[tokio::test]
async fn drops_a_failed_turn() {
    let fake = Fake::playing([Answer::Fails(errors::throttled()), Answer::Events(says(&["Two."]))]).await;

    let done = run(&fake.address, &["chat", "-q"], "first\nsecond\n").await;

    assert_eq!((done.stdout.as_str(), done.code), ("Two.\n", Some(0)));
    assert!(done.stderr.starts_with("converse: Bedrock throttles every model"), "{}", done.stderr);
    assert_eq!(fake.seen()[1].request.messages, [user("second")]);
}

#[tokio::test]
async fn commands_change_the_following_turns() {
    let fake = Fake::playing([Answer::Events(says(&["One."])), Answer::Events(says(&["Two."]))]).await;
    let lines = "first\n/reset\n/task analysis\n/system Be brief.\n/what\nsecond\n/quit\nnever\n";

    let done = run(&fake.address, &["chat", "-q"], lines).await;

    assert_eq!(done.stderr, "unknown command /what; use /reset, /task NAME, /system TEXT or /quit\n");
    let request = &fake.seen()[1].request;
    assert_eq!((request.task_type.as_str(), &request.messages[..]), ("analysis", &[user("second")][..]));
    assert_eq!(request.system, [system("Be brief.")]);
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn an_interrupt_stops_the_answer_but_not_the_chat() {
    let hangs = Answer::Hangs(vec![route(), text(0, "Hel")]);
    let fake = Fake::playing([hangs, Answer::Events(says(&["Two."]))]).await;
    let mut child = start(&fake.address, &["chat", "-q"]);
    let mut stdin = child.stdin.take().unwrap();

    stdin.write_all(b"first\n").await.unwrap();
    read_until(&mut child, "Hel").await;
    interrupt(&child).await;
    stdin.write_all(b"second\n").await.unwrap();
    read_until(&mut child, "Two.").await;
    drop(stdin);

    assert_eq!(end(child).await.code, Some(0));
    assert_eq!(fake.seen()[1].request.messages, [user("second")]);
}

#[tokio::test]
async fn an_interrupt_at_the_prompt_ends_the_chat() {
    let fake = Fake::playing([Answer::Events(says(&["One."]))]).await;
    let mut child = start(&fake.address, &["chat"]);
    let mut stdin = child.stdin.take().unwrap();

    stdin.write_all(b"first\n").await.unwrap();
    read_until(&mut child, "One.\n").await;
    interrupt(&child).await;

    assert_eq!(end(child).await.code, Some(130));
}

#[tokio::test]
async fn refuses_json() {
    let done = run("localhost:1", &["chat", "--json"], "").await;

    assert_eq!(done.code, Some(2), "{}", done.stderr);
}
