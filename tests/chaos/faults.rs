//! The faulty models: one for every fault of the simulator, early and late in an answer.
//!
//! With one model per fault, it is certain which fault a call met, and all faults are active at the same
//! time. The models are application inference profiles of one base model. One of them has a changing fault
//! instead: each of its calls injects a fault, and faults that were not used add up.
use bedrock_sim::{Fault, FaultRule};
use std::time::Duration;

/// Number of events before a fault: none, `messageStart`, and some content.
const EARLY: [u32; 2] = [0, 1];
const LATE: [u32; 2] = [5, 9];

/// A delay beyond every timeout of the server.
const TOO_LONG: Duration = Duration::from_secs(600);

/// Prefix of the ids of the faulty models.
pub(crate) const ACCOUNT: &str = "arn:aws:bedrock:us-east-1:123456789012:";

/// Name of the model whose fault changes.
const DYNAMIC: &str = "changing";

/// Every error of Bedrock's service model, errors of AWS request authentication, and an unknown one.
const ERRORS: [&str; 16] = [
    "AccessDeniedException",
    "ConflictException",
    "InternalServerException",
    "ModelErrorException",
    "ModelNotReadyException",
    "ModelTimeoutException",
    "ResourceNotFoundException",
    "ServiceQuotaExceededException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "ValidationException",
    "ExpiredTokenException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "SerializationException",
    "BrandNewException",
];

/// Every exception that may end a stream, and an unknown one.
const EXCEPTIONS: [&str; 6] = [
    "InternalServerException",
    "ModelStreamErrorException",
    "ServiceUnavailableException",
    "ThrottlingException",
    "ValidationException",
    "BrandNewException",
];

/// A model with a fault.
#[derive(Clone, Debug)]
pub(crate) struct FaultyModel {
    pub(crate) name: String,
    pub(crate) fault: Option<Fault>,
    pub(crate) effect: Effect,
}

/// How a call shows that it met the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The attempt failed.
    Failure,
    /// The answer contains an unknown event or delta.
    Unknown,
    /// Nothing certain.
    Nothing,
}

/// All faulty models, a healthy one, and the one with a changing fault.
pub(crate) fn all() -> Vec<FaultyModel> {
    let mut faulty_models = vec![
        FaultyModel::new("healthy", None, Effect::Nothing),
        FaultyModel::new(DYNAMIC, None, Effect::Nothing),
    ];
    faulty_models.extend(refusals());
    faulty_models.extend(delays());
    for at in EARLY.into_iter().chain(LATE) {
        faulty_models.extend(stream_faults(at));
    }
    faulty_models.push(FaultyModel::new(
        "end without messageStop",
        Some(Fault::EndWithoutMessageStop),
        Effect::Failure,
    ));
    faulty_models.push(FaultyModel::new(
        "end without metadata",
        Some(Fault::EndWithoutMetadata),
        Effect::Failure,
    ));
    faulty_models
}

fn refusals() -> Vec<FaultyModel> {
    let throttle = |calls_per_second, probability, daily| {
        let retry_after = Some(Duration::from_secs(1)).filter(|_| daily);
        Some(Fault::Throttle { calls_per_second, probability, daily, retry_after })
    };
    let mut faulty_models = vec![
        FaultyModel::new("throttle", throttle(None, None, false), Effect::Failure),
        FaultyModel::new("throttle for the day", throttle(None, None, true), Effect::Failure),
        FaultyModel::new("throttle half", throttle(None, Some(0.5), false), Effect::Nothing),
        FaultyModel::new("throttle above 1/s", throttle(Some(1.0), None, false), Effect::Nothing),
    ];
    let error = |name: &&str| FaultyModel::new(name, Some(Fault::error(*name)), Effect::Failure);
    faulty_models.extend(ERRORS.iter().map(error));
    faulty_models.extend([400, 429, 500].map(|status| {
        let fault = model_error(status);
        FaultyModel::new(&format!("ModelErrorException {status}"), Some(fault), Effect::Failure)
    }));
    faulty_models
}

fn model_error(original_status: u16) -> Fault {
    Fault::Error {
        name: "ModelErrorException".to_owned(),
        message: None,
        status: None,
        original_status: Some(original_status),
        resource: Some("the model".to_owned()),
        retry_after: None,
    }
}

fn delays() -> Vec<FaultyModel> {
    let (short, pause) = (Duration::from_millis(100), Some(Duration::from_millis(100)));
    vec![
        FaultyModel::new("hang", Some(Fault::Hang), Effect::Failure),
        FaultyModel::new("first token never", Some(Fault::slow_first_token(TOO_LONG)), Effect::Failure),
        FaultyModel::new("first token late", Some(Fault::slow_first_token(short)), Effect::Nothing),
        FaultyModel::new(
            "pause at 5",
            Some(Fault::Stall { after_events: 5, duration: pause }),
            Effect::Nothing,
        ),
    ]
}

/// Faults of a stream at event `at`.
fn stream_faults(at: u32) -> Vec<FaultyModel> {
    let faulty =
        |name: &str, fault| FaultyModel::new(&format!("{name} at {at}"), Some(fault), Effect::Failure);
    let unknown =
        |name: &str, fault| FaultyModel::new(&format!("{name} at {at}"), Some(fault), Effect::Unknown);
    let frame = Fault::ErrorFrame {
        after_events: at,
        code: "InternalFailure".to_owned(),
        message: "injected".to_owned(),
    };
    let mut faulty_models = vec![
        faulty("stall", Fault::stall(at)),
        faulty("cut", Fault::cut(at)),
        faulty("cut in a frame", Fault::Cut { after_events: at, mid_frame: true }),
        faulty("error frame", frame),
        faulty("bad crc", Fault::BadCrc { at_event: at }),
        unknown("unknown event", Fault::UnknownEvent { after_events: at }),
        unknown("unknown delta", Fault::UnknownDelta { after_events: at }),
    ];
    faulty_models.extend(EXCEPTIONS.map(|name| faulty(&format!("frame {name}"), Fault::exception(at, name))));
    faulty_models
}

/// One faulty model for each kind of fault, and a healthy one.
pub(crate) fn few() -> Vec<FaultyModel> {
    const NAMES: [&str; 9] = [
        "healthy",
        "first token never",
        "throttle",
        "cut at 1",
        "cut at 5",
        "stall at 0",
        "stall at 5",
        "frame InternalServerException at 5",
        "ServiceUnavailableException",
    ];
    all().into_iter().filter(|faulty| NAMES.contains(&faulty.name.as_str())).collect()
}

// === impl Ill ===

impl FaultyModel {
    fn new(name: &str, fault: Option<Fault>, effect: Effect) -> Self {
        Self { name: name.to_owned(), fault, effect }
    }

    /// The model id.
    pub(crate) fn model_id(&self) -> String {
        let name = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("{ACCOUNT}application-inference-profile/{name}")
    }

    pub(crate) fn rule(&self) -> Option<FaultRule> {
        self.fault.clone().map(|fault| FaultRule::on(self.model_id(), fault))
    }

    pub(crate) fn is_dynamic(&self) -> bool {
        self.name == DYNAMIC
    }

    /// True if unary calls meet the fault too.
    pub(crate) fn affects_unary(&self) -> bool {
        use Fault as F;
        let of_both = |fault: &Fault| {
            matches!(
                fault,
                F::Throttle { .. } | F::Error { .. } | F::Hang | F::SlowFirstToken { .. } | F::Cut { .. }
            )
        };
        self.fault.as_ref().is_some_and(of_both)
    }
}
