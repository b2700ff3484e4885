//! The guest's network interfaces, set by ioctl: no `ip` program is needed.

use std::{
    io, mem,
    net::Ipv4Addr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::Error;

/// What slirp gives its only guest (slirp(1)).
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);

/// Brings `lo` up; the kernel gives it its address.
pub(crate) fn loopback() -> Result<(), Error> {
    Interface::open("lo")?.up()
}

/// Configures `eth0` for slirp and makes it the default route.
pub(crate) fn slirp() -> Result<(), Error> {
    let interface = Interface::open("eth0")?;
    interface.address("address", libc::SIOCSIFADDR, ADDRESS)?;
    interface.address("mask", libc::SIOCSIFNETMASK, MASK)?;
    interface.up()?;
    interface.default_route(GATEWAY)
}

struct Interface {
    name: &'static str,
    socket: OwnedFd,
}

#[expect(unsafe_code, reason = "the ioctls of netdevice(7) take C structures")]
impl Interface {
    fn open(name: &'static str) -> Result<Self, Error> {
        // SAFETY: a plain system call; the descriptor it gives belongs to nobody else.
        let socket = unsafe {
            let number = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
            if number < 0 {
                return Err(Error::Network {
                    interface: name,
                    what: "socket",
                    source: io::Error::last_os_error(),
                });
            }
            OwnedFd::from_raw_fd(number)
        };
        Ok(Self { name, socket })
    }

    fn address(&self, what: &'static str, request: libc::c_ulong, address: Ipv4Addr) -> Result<(), Error> {
        let mut argument = self.request();
        argument.ifr_ifru.ifru_addr = socket_address(address);
        // SAFETY: both requests read an ifreq with its address set.
        self.check(what, unsafe { libc::ioctl(self.socket.as_raw_fd(), request as _, &argument) })
    }

    fn up(&self) -> Result<(), Error> {
        let mut argument = self.request();
        #[expect(clippy::cast_possible_truncation, reason = "the kernel's field is a short")]
        let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
        argument.ifr_ifru.ifru_flags = flags;
        // SAFETY: the request reads an ifreq with its flags set.
        self.check("flags", unsafe {
            libc::ioctl(self.socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &argument)
        })
    }

    fn default_route(&self, gateway: Ipv4Addr) -> Result<(), Error> {
        // SAFETY: rtentry is a C structure for which zeros are valid: no device name, address 0.0.0.0.
        let mut route: libc::rtentry = unsafe { mem::zeroed() };
        route.rt_dst = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_genmask = socket_address(Ipv4Addr::UNSPECIFIED);
        route.rt_gateway = socket_address(gateway);
        route.rt_flags = libc::RTF_UP | libc::RTF_GATEWAY;
        // SAFETY: the request reads an rtentry.
        self.check("route", unsafe { libc::ioctl(self.socket.as_raw_fd(), libc::SIOCADDRT as _, &route) })
    }

    fn request(&self) -> libc::ifreq {
        // SAFETY: ifreq is a C structure of plain numbers, for which zeros are valid.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        for (target, byte) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *target = byte as libc::c_char;
        }
        request
    }

    fn check(&self, what: &'static str, result: libc::c_int) -> Result<(), Error> {
        if result < 0 {
            return Err(Error::Network { interface: self.name, what, source: io::Error::last_os_error() });
        }
        Ok(())
    }
}

/// An IPv4 address as a `sockaddr_in` (ip(7)) in the clothes of a `sockaddr`: port, then address, in network order.
fn socket_address(address: Ipv4Addr) -> libc::sockaddr {
    let mut data = [0; 14];
    for (target, byte) in data[2..].iter_mut().zip(address.octets()) {
        *target = byte as libc::c_char;
    }
    #[expect(clippy::cast_possible_truncation, reason = "AF_INET is 2")]
    let family = libc::AF_INET as libc::sa_family_t;
    libc::sockaddr { sa_family: family, sa_data: data }
}
