//! How a newcomer becomes a member: the token that it is given.

mod text;
pub mod token;
