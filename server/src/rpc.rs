//! The RPCs of the contract, and the names that other systems give them.
use std::fmt;

/// A call that a model serves. Bedrock's operations have the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// A whole answer.
    Converse,
    /// An answer as it is generated.
    ConverseStream,
    /// The number of tokens of a request.
    CountTokens,
}

/// An RPC of one of the contract's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rpc {
    /// An RPC of `ConverseService`.
    Model(Method),
    /// `RoutingService.ListTasks`.
    ListTasks,
    /// `RoutingService.ExplainRoute`.
    ExplainRoute,
    /// `FeedbackService.RecordFeedback`.
    RecordFeedback,
    /// A method of one of our services that the contract does not have.
    Other,
}

// === impl Method ===

impl Method {
    /// All methods; [`Method::index`] is the position here.
    pub const ALL: [Self; 3] = [Self::Converse, Self::ConverseStream, Self::CountTokens];

    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Converse => "Converse",
            Self::ConverseStream => "ConverseStream",
            Self::CountTokens => "CountTokens",
        }
    }

    /// OpenTelemetry's `gen_ai.operation.name`.
    #[must_use]
    pub const fn operation_name(self) -> &'static str {
        match self {
            Self::Converse | Self::ConverseStream => "chat",
            Self::CountTokens => "count_tokens",
        }
    }

    /// Position in [`Method::ALL`], for tables with an entry for each method.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Converse => 0,
            Self::ConverseStream => 1,
            Self::CountTokens => 2,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// === impl Rpc ===

impl Rpc {
    /// All RPCs of the contract; [`Rpc::index`] is the position here.
    pub const ALL: [Self; 6] = [
        Self::Model(Method::Converse),
        Self::Model(Method::ConverseStream),
        Self::Model(Method::CountTokens),
        Self::ListTasks,
        Self::ExplainRoute,
        Self::RecordFeedback,
    ];

    /// The RPC that a request path names. `None`: the path is of gRPC's own services, health and reflection.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Self> {
        let path = path.strip_prefix('/')?;
        let known = Self::ALL.into_iter().find(|rpc| rpc.full_name() == path);
        known.or_else(|| (!path.starts_with("grpc.")).then_some(Self::Other))
    }

    /// The method, if a model serves the call.
    #[must_use]
    pub const fn method(self) -> Option<Method> {
        match self {
            Self::Model(method) => Some(method),
            _ => None,
        }
    }

    /// The name in the contract. `_OTHER` for one that it does not have, as OpenTelemetry asks for.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Model(method) => method.name(),
            Self::ListTasks => "ListTasks",
            Self::ExplainRoute => "ExplainRoute",
            Self::RecordFeedback => "RecordFeedback",
            Self::Other => "_OTHER",
        }
    }

    /// The name with its service, as OpenTelemetry's `rpc.method` has it.
    #[must_use]
    pub const fn full_name(self) -> &'static str {
        match self {
            Self::Model(Method::Converse) => "switchboard.v1.ConverseService/Converse",
            Self::Model(Method::ConverseStream) => "switchboard.v1.ConverseService/ConverseStream",
            Self::Model(Method::CountTokens) => "switchboard.v1.ConverseService/CountTokens",
            Self::ListTasks => "switchboard.v1.RoutingService/ListTasks",
            Self::ExplainRoute => "switchboard.v1.RoutingService/ExplainRoute",
            Self::RecordFeedback => "switchboard.v1.FeedbackService/RecordFeedback",
            Self::Other => "_OTHER",
        }
    }

    /// Position in [`Rpc::ALL`]; the length of the table for [`Rpc::Other`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Model(method) => method.index(),
            Self::ListTasks => 3,
            Self::ExplainRoute => 4,
            Self::RecordFeedback => 5,
            Self::Other => 6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_reflect::DescriptorPool;
    use switchboard_proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn every_rpc_of_the_contract_is_known_by_its_path() {
        let contract = DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("is a descriptor set");
        let ours = contract.services().filter(|service| service.package_name() == "switchboard.v1");
        let mut known = 0;
        for method in ours.flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let path = format!("{}/{}", method.parent_service().full_name(), method.name());
            let rpc = Rpc::of_path(&format!("/{path}")).expect("is ours");
            assert_eq!((rpc.full_name(), rpc.name()), (path.as_str(), method.name()));
            assert_eq!(Rpc::ALL[rpc.index()], rpc);
            known += 1;
        }
        assert_eq!(known, Rpc::ALL.len());
    }

    #[test]
    fn other_paths_are_told_apart() {
        for path in ["/switchboard.v1.ConverseService/Other", "/switchboard.v2.ConverseService/Converse", "/"]
        {
            assert_eq!(Rpc::of_path(path), Some(Rpc::Other), "{path}");
        }
        for path in ["", "/grpc.health.v1.Health/Check", "switchboard.v1.ConverseService/Converse"] {
            assert_eq!(Rpc::of_path(path), None, "{path}");
        }
    }
}
