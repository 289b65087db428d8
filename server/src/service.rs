//! The services of the contract, one file each.
pub(crate) mod converse;
pub(crate) mod feedback;
pub(crate) mod health;
pub(crate) mod routing;
