//! How many files and connections the process may have open.
//!
//! Shells and init systems start programs with a soft limit of 1024, for the sake of old ones that use select(2); a program
//! that does not is expected to raise it to the hard one. Spec: getrlimit(2).

use std::io;

/// Raises the soft limit to the hard one; says what it is now.
pub fn raise_open_max() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an `rlimit` that lives for the call, which writes it.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is an `rlimit` that lives for the call, which reads it.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) })?;
    Ok(limit.rlim_cur)
}

fn checked(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_raised_as_far_as_it_goes() {
        let limit = raise_open_max().unwrap();
        let said = std::fs::read_to_string("/proc/self/limits").unwrap();
        let line = said.lines().find(|line| line.starts_with("Max open files")).unwrap();
        let values: Vec<_> = line.split_whitespace().rev().skip(1).take(2).collect();
        assert_eq!(values, [limit.to_string(), limit.to_string()]);
    }
}
