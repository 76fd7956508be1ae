//! Which addresses count as one visitor, wherever something is shared out by address: connections, exchanges,
//! room for kept forms.

use std::net::{IpAddr, Ipv6Addr};

/// The address `peer` is counted under. A household or an institution holds a whole IPv6 /64: whoever has one has
/// 2^64 addresses. An IPv4 address is the same however it is written.
pub fn counted_as(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t80_one_network_counts_once() {
        let counted = |text: &str| counted_as(text.parse().unwrap());
        assert_eq!(counted("192.0.2.1"), counted("::ffff:192.0.2.1"));
        assert_ne!(counted("192.0.2.1"), counted("192.0.2.2"));
        assert_eq!(counted("2001:db8::1"), counted("2001:db8::ffff:2:3:4"));
        assert_ne!(counted("2001:db8::1"), counted("2001:db8:0:1::1"));
    }
}
