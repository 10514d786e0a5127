//! Address ranges, as settings of stream keys and lists of trusted proxies have them.

#[path = "../../src/keys/address.rs"]
mod address;

pub use address::AddressRange;
