//! What a team of two gets done in a week without being asked twice.

use sweeper_core::{caps::Caps, money::Amount};
use sweeper_sim::week::play;

/// The fleet is large enough for 5 % a run to be 200 items; only the deployer's count is raised, once, in its config.
#[test]
fn two_people_clear_500_volumes_in_a_week_and_sign_once() {
    let caps = Caps { count: 200, monthly: Amount::whole(2000), ..Caps::default() };
    let week = play(500, 3800, caps).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(week.violations, Vec::<String>::new());
    assert_eq!((week.done.iter().sum::<u32>(), week.left, week.signatures), (500, 0, 1), "{week:?}");
    // Nothing is done on a Friday, nor beyond a day's cap.
    assert_eq!(week.done.last(), Some(&0), "{week:?}");
    assert!(week.done.iter().all(|done| *done <= 200), "{week:?}");
}

#[test]
fn as_it_comes_a_week_is_three_runs_of_fifty() {
    let week = play(500, 3800, Caps::default()).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(week.violations, Vec::<String>::new());
    assert_eq!(week.done, [50, 50, 50, 0, 0], "{week:?}");
    assert_eq!(week.left, 350);
}
