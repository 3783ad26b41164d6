//! Numbers that whoever runs a test may set.

/// The number that an environment variable has, or the usual one.
pub(crate) fn number<T: std::str::FromStr>(name: &str, usual: T) -> T
where
    T::Err: std::fmt::Debug,
{
    std::env::var(name).ok().map_or(usual, |text| text.parse().expect("a number"))
}
