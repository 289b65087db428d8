//! Which of the two engines the tests over real sockets are for.
use switchboard_server::config::{Bedrock, Engine};

/// All there are.
pub(crate) const BOTH: [Engine; 2] = [Engine::Direct, Engine::Sdk];

/// The one that `SWITCHBOARD_TEST_ENGINE` names, "direct" or "sdk". Tests on recorded traffic run on both in
/// any case.
pub(crate) fn chosen() -> Engine {
    match std::env::var_os("SWITCHBOARD_TEST_ENGINE") {
        None => Engine::default(),
        Some(name) if name == "direct" => Engine::Direct,
        Some(name) if name == "sdk" => Engine::Sdk,
        Some(other) => panic!("SWITCHBOARD_TEST_ENGINE is {other:?}: use direct or sdk"),
    }
}

/// Settings for a simulator at `url`.
pub(crate) fn simulated_at(url: String) -> Bedrock {
    Bedrock { engine: chosen(), ..Bedrock::simulated_at(url) }
}
