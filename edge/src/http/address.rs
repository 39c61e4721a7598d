//! Which address a request comes from.
//!
//! Invariant: a header decides only where the operator says that a proxy of theirs wrote it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};

/// Where proxies write the address they were asked from, theirs last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address.
pub(super) fn of(extensions: &Extensions, headers: &HeaderMap, behind_proxy: bool) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let forwarded = || {
        let last = headers.get_all(FORWARDED_FOR).iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse::<IpAddr>().ok()
    };
    let address = behind_proxy.then(forwarded).flatten().or(peer);
    address.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ip| ip.to_canonical())
}

/// What one customer of a network usually has: an IPv4 address, or an IPv6 /64.
pub(super) fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn address(forwarded: &[&'static str], behind_proxy: bool) -> String {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([10, 0, 0, 1], 5))));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        of(&extensions, &headers, behind_proxy).to_string()
    }

    #[test]
    fn headers_count_behind_a_proxy_only() {
        assert_eq!(address(&["1.2.3.4"], false), "10.0.0.1");
        assert_eq!(address(&["9.9.9.9, 1.2.3.4"], true), "1.2.3.4");
        assert_eq!(address(&["9.9.9.9", "8.8.8.8, ::ffff:1.2.3.4"], true), "1.2.3.4");
        assert_eq!(address(&["nonsense"], true), "10.0.0.1");
        assert_eq!(address(&[], true), "10.0.0.1");
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let of = |ip: &str| household(ip.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("1.2.3.4"), "1.2.3.4");
    }
}
