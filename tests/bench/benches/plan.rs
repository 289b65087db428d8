//! Routing and shaping: the route plan of a request, and its shape for one model.
//!
//! Measures `Routes::plan` for tasks in random order, and `shape` for a request that needs no adjustment and
//! for one that was written for another model family.
//!
//! Not measured: building the routes, which happens once; the checks before an attempt (breakers, fallback
//! cap).
#![expect(clippy::expect_used, reason = "a benchmark that cannot continue reports the reason")]

use criterion::Criterion;
use std::hint::black_box;
use switchboard_proto::v1::{
    self as pb, content_block::Block, converse_request::AdditionalRequestFields as Extras,
};
use switchboard_server::{
    catalogue::Catalogue,
    config::Config,
    route::Routes,
    rpc::Method,
    shape::{ShapeInput, shape},
    snapshot::Snapshot,
};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const CLAUDE: &str = "us.anthropic.claude-haiku-4-5-20251001-v1:0";
const LLAMA: &str = "us.meta.llama3-3-70b-instruct-v1:0";
const REGION: &str = "us-east-1";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    plans(&mut criterion);
    shapes(&mut criterion);
    criterion.final_summary();
}

fn routes(config: &Config) -> Routes {
    Snapshot::build(config, &Catalogue::built_in(), REGION, &Default::default()).routes
}

fn plans(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    for (tasks, candidates) in [(5, 1), (5, 16), (100, 1), (100, 16), (1000, 1), (1000, 16)] {
        let routes = routes(&config(tasks, candidates));
        let mut names: Vec<_> = (0..tasks).map(task_name).collect();
        fastrand::Rng::with_seed(1).shuffle(&mut names);
        let mut wanted = names.iter().cycle();
        group.bench_function(format!("{tasks} tasks of {candidates}"), |bencher| {
            bencher.iter(|| {
                let name = wanted.next().expect("never ends");
                routes.plan(black_box(name)).expect("is a task")
            });
        });
    }
    group.finish();
}

fn shapes(criterion: &mut Criterion) {
    let routes = routes(&Config::for_two_models(CLAUDE, LLAMA));
    let task = routes.plan("").expect("is a task").task;
    let mut group = criterion.benchmark_group("shape");
    for (what, max_tokens, request, candidate, changes) in [
        ("as it came", 1024, request(), &task.candidates[0], 0),
        ("for another family", 64_000, asking_as_claude_likes_it(), &task.candidates[1], 3),
    ] {
        let inference = pb::InferenceConfiguration { max_tokens: Some(max_tokens), ..Default::default() };
        let input = ShapeInput {
            task: &task,
            request: &request,
            inference: &inference,
            method: Method::ConverseStream,
        };
        assert_eq!(shape(input, candidate).expect("is eligible").adjustments.len(), changes);
        group.bench_function(what, |bencher| {
            bencher.iter(|| shape(black_box(input), black_box(candidate)).expect("is eligible"));
        });
    }
    group.finish();
}

/// Routes with `tasks` tasks, each with the same models.
fn config(tasks: usize, models: usize) -> Config {
    let names: Vec<_> = (0..models).map(|model| format!("model_{model}")).collect();
    let models: String = names.iter().map(|name| format!("[models.{name}]\nid = \"{CLAUDE}\"\n")).collect();
    let task = |task| format!("[tasks.{}]\nmodels = {names:?}\n", task_name(task));
    let tasks: String = (0..tasks).map(task).collect();
    Config::parse(&format!("routing.unknown_tasks = \"refuse\"\n{models}{tasks}")).expect("is valid")
}

fn task_name(task: usize) -> String {
    format!("task_{task}")
}

fn request() -> pb::ConverseRequest {
    let text = Block::Text("Tell me of the sea. ".repeat(10));
    let content = vec![pb::ContentBlock { block: Some(text) }];
    pb::ConverseRequest {
        messages: vec![pb::Message { role: "user".to_owned(), content }],
        ..Default::default()
    }
}

/// A request with a cache point and a thinking budget, which no Llama supports.
fn asking_as_claude_likes_it() -> pb::ConverseRequest {
    let mut request = request();
    let point = Block::CachePoint(pb::CachePointBlock { r#type: "default".to_owned(), ttl: None });
    request.messages[0].content.push(pb::ContentBlock { block: Some(point) });
    let thinking = r#"{"thinking":{"type":"enabled","budget_tokens":2048}}"#.to_owned();
    request.additional_request_fields = Some(Extras::AdditionalModelRequestFieldsJson(thinking));
    request
}
