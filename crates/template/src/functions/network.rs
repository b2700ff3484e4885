//! Functions of network addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Function, MANY, list_of};
use crate::Value;
use crate::session::Fault;

pub(super) const FUNCTIONS: &[Function] = &[
    ("cidrhost", 2, 2, |call| {
        let network = Network::parse(&call.text(0)?)?;
        let number = i128::from(call.integer(1)?);
        let hosts = network.hosts();
        let offset =
            if number < 0 { hosts.checked_sub(number.unsigned_abs()) } else { Some(number.unsigned_abs()) };
        // A network of all addresses has 2^128 of them, which wraps to 0 here, and every number is one of its hosts.
        match offset.filter(|offset| hosts == 0 || *offset < hosts) {
            Some(offset) => Ok(Value::String(network.show(network.address | offset))),
            None => Err(Fault::new(format!("the network has no host {number}"))),
        }
    }),
    ("cidrnetmask", 1, 1, |call| {
        let network = Network::parse(&call.text(0)?)?;
        if network.bits != 32 {
            return Err("only IPv4 networks have a mask that is written as an address".into());
        }
        Ok(Value::String(network.show(network.mask())))
    }),
    ("cidrsubnet", 3, 3, |call| {
        let network = Network::parse(&call.text(0)?)?;
        let more = u32::try_from(call.integer(1)?).map_err(|_| call.wrong(1, "a whole number from 0"))?;
        let subnet = network.subnet(more, u128::try_from(call.integer(2)?).ok())?;
        Ok(Value::String(subnet.text()))
    }),
    ("cidrsubnets", 2, MANY, |call| {
        let network = Network::parse(&call.text(0)?)?;
        let mut subnets: Vec<Network> = Vec::new();
        for index in 1..call.len() {
            let more = u32::try_from(call.integer(index)?)
                .map_err(|_| call.wrong(index, "a whole number from 0"))?;
            // Each begins where the one before ends, at a multiple of its own size.
            let first = network.subnet(more, Some(0))?;
            let number = match subnets.last() {
                None => Some(0),
                Some(last) => last.address.checked_sub(network.address).and_then(|start| {
                    start
                        .checked_add(last.hosts())?
                        .checked_add(first.hosts().checked_sub(1)?)?
                        .checked_div(first.hosts())
                }),
            };
            subnets.push(network.subnet(more, number)?);
        }
        Ok(list_of(subnets.iter().map(Network::text)))
    }),
];

#[derive(Debug, Clone, Copy)]
struct Network {
    address: u128,
    length: u32,
    bits: u32,
}

impl Network {
    fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = || Fault::new(format!("`{text}` is no network")).hint("as in `10.0.0.0/8`".to_owned());
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let length = length.parse().map_err(|_| wrong())?;
        let (address, bits) = match address.parse().map_err(|_| wrong())? {
            IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
            IpAddr::V6(address) => (address.to_bits(), 128),
        };
        if length > bits {
            return Err(wrong());
        }
        let network = Self { address, length, bits };
        Ok(Self { address: address & network.mask(), ..network })
    }

    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.bits);
        all & !self.hosts().wrapping_sub(1)
    }

    /// How many addresses there are; 0 where they are 2^128.
    fn hosts(&self) -> u128 {
        1_u128.checked_shl(self.bits - self.length).unwrap_or(0)
    }

    fn subnet(&self, more: u32, number: Option<u128>) -> Result<Self, Fault> {
        let length = self.length.checked_add(more).filter(|length| *length <= self.bits);
        let length = length
            .ok_or_else(|| Fault::new(format!("{more} bits more than /{} are too many", self.length)))?;
        let subnet = Self { length, ..*self };
        let count = 1_u128.checked_shl(more).unwrap_or(0);
        match number.filter(|number| count == 0 || *number < count) {
            Some(number) => {
                Ok(Self { address: self.address | number.wrapping_mul(subnet.hosts()), ..subnet })
            }
            None => Err(Fault::new(format!("there are only {count} such networks"))),
        }
    }

    fn show(&self, address: u128) -> String {
        match u32::try_from(address) {
            Ok(short) if self.bits == 32 => Ipv4Addr::from_bits(short).to_string(),
            _ => Ipv6Addr::from_bits(address).to_string(),
        }
    }

    fn text(&self) -> String {
        format!("{}/{}", self.show(self.address), self.length)
    }
}
