//! The ills: every fault of the simulator, early and late in an answer, each as a model that has it.
//!
//! A model of its own for each fault tells for certain which fault a call met, and lets all of them rage at the same time.
//! They are application inference profiles of one base model. One of them has changing weather instead: each of its calls
//! brings a fault with it, and the ones that nobody used up add up.
use bedrock_sim::{Fault, FaultRule};
use std::time::Duration;

/// The events before a fault: none, `messageStart`, and well into the content.
const EARLY: [u32; 2] = [0, 1];
const LATE: [u32; 2] = [5, 9];

/// A wait that no clock of the server's allows.
const FOR_EVER: Duration = Duration::from_secs(600);

/// How the ids of the ills begin.
pub(crate) const ACCOUNT: &str = "arn:aws:bedrock:us-east-1:123456789012:";

/// The name of the ill whose fault changes.
const WEATHER: &str = "weather";

/// Every error that Bedrock's service model names, those of its front door, and one that nobody knows.
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

/// Every exception that a stream may end with, and one that nobody knows.
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
pub(crate) struct Ill {
    pub(crate) name: String,
    pub(crate) fault: Option<Fault>,
    pub(crate) shows: Shows,
}

/// How one can see that a call met the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shows {
    /// The attempt failed.
    Failure,
    /// The answer has something in it that nobody knows.
    Unknown,
    /// Not for certain.
    Nothing,
}

/// All of them, a well one and the weather included.
pub(crate) fn all() -> Vec<Ill> {
    let mut ills = vec![Ill::new("well", None, Shows::Nothing), Ill::new(WEATHER, None, Shows::Nothing)];
    ills.extend(refusals());
    ills.extend(silences());
    for at in EARLY.into_iter().chain(LATE) {
        ills.extend(breaks(at));
    }
    ills.push(Ill::new("end without messageStop", Some(Fault::EndWithoutMessageStop), Shows::Failure));
    ills.push(Ill::new("end without metadata", Some(Fault::EndWithoutMetadata), Shows::Failure));
    ills
}

fn refusals() -> Vec<Ill> {
    let throttle = |calls_per_second, probability, daily| {
        let retry_after = Some(Duration::from_secs(1)).filter(|_| daily);
        Some(Fault::Throttle { calls_per_second, probability, daily, retry_after })
    };
    let mut ills = vec![
        Ill::new("throttle", throttle(None, None, false), Shows::Failure),
        Ill::new("throttle for the day", throttle(None, None, true), Shows::Failure),
        Ill::new("throttle half", throttle(None, Some(0.5), false), Shows::Nothing),
        Ill::new("throttle above 1/s", throttle(Some(1.0), None, false), Shows::Nothing),
    ];
    let error = |name: &&str| Ill::new(name, Some(Fault::error(*name)), Shows::Failure);
    ills.extend(ERRORS.iter().map(error));
    ills.extend([400, 429, 500].map(|status| {
        let fault = model_error(status);
        Ill::new(&format!("ModelErrorException {status}"), Some(fault), Shows::Failure)
    }));
    ills
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

fn silences() -> Vec<Ill> {
    let (short, pause) = (Duration::from_millis(100), Some(Duration::from_millis(100)));
    vec![
        Ill::new("hang", Some(Fault::Hang), Shows::Failure),
        Ill::new("first token never", Some(Fault::slow_first_token(FOR_EVER)), Shows::Failure),
        Ill::new("first token late", Some(Fault::slow_first_token(short)), Shows::Nothing),
        Ill::new("pause at 5", Some(Fault::Stall { after_events: 5, duration: pause }), Shows::Nothing),
    ]
}

/// What breaks a stream, or seems to, at this event.
fn breaks(at: u32) -> Vec<Ill> {
    let ill = |name: &str, fault| Ill::new(&format!("{name} at {at}"), Some(fault), Shows::Failure);
    let unknown = |name: &str, fault| Ill::new(&format!("{name} at {at}"), Some(fault), Shows::Unknown);
    let frame = Fault::ErrorFrame {
        after_events: at,
        code: "InternalFailure".to_owned(),
        message: "injected".to_owned(),
    };
    let mut ills = vec![
        ill("stall", Fault::stall(at)),
        ill("cut", Fault::cut(at)),
        ill("cut in a frame", Fault::Cut { after_events: at, mid_frame: true }),
        ill("error frame", frame),
        ill("bad crc", Fault::BadCrc { at_event: at }),
        unknown("unknown event", Fault::UnknownEvent { after_events: at }),
        unknown("unknown delta", Fault::UnknownDelta { after_events: at }),
    ];
    ills.extend(EXCEPTIONS.map(|name| ill(&format!("frame {name}"), Fault::exception(at, name))));
    ills
}

/// One of each way to be ill, and one that is well.
pub(crate) fn few() -> Vec<Ill> {
    const NAMES: [&str; 9] = [
        "well",
        "first token never",
        "throttle",
        "cut at 1",
        "cut at 5",
        "stall at 0",
        "stall at 5",
        "frame InternalServerException at 5",
        "ServiceUnavailableException",
    ];
    all().into_iter().filter(|ill| NAMES.contains(&ill.name.as_str())).collect()
}

// === impl Ill ===

impl Ill {
    fn new(name: &str, fault: Option<Fault>, shows: Shows) -> Self {
        Self { name: name.to_owned(), fault, shows }
    }

    /// What Bedrock calls the model.
    pub(crate) fn model_id(&self) -> String {
        let name = self.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        format!("{ACCOUNT}application-inference-profile/{name}")
    }

    pub(crate) fn rule(&self) -> Option<FaultRule> {
        self.fault.clone().map(|fault| FaultRule::on(self.model_id(), fault))
    }

    pub(crate) fn is_weather(&self) -> bool {
        self.name == WEATHER
    }

    /// Whether whole answers meet the fault too.
    pub(crate) fn concerns_whole_answers(&self) -> bool {
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
