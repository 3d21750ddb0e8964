//! `sweeper review`: a plan walked through in the terminal. What a key does is decided in [`model`] and what is seen is
//! drawn by [`screen`], both without a terminal; only [`terminal`] has one.

pub mod model;
pub mod screen;
#[cfg(unix)]
pub mod terminal;
#[cfg(test)]
mod tests;

/// Gives the terminal back as it was found, if it was taken: for a process that ends here.
pub fn leave() {
    #[cfg(unix)]
    terminal::restore();
}
