//! What is to be done when: the script, and what deeds bring with them later.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::dice::Dice;
use crate::scenario::{Churn, Scenario};
use crate::script::{Deed, Step, exponential};

/// The first whole microsecond from `at` on: the world knows none between.
pub(crate) fn whole(at: Duration) -> Duration {
    let micros = at.as_nanos().div_ceil(1_000);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Deeds in the order of their time.
#[derive(Debug)]
pub struct Agenda {
    script: VecDeque<Step>,
    /// What repeats itself, by time and the order in which it was put down.
    later: BTreeMap<(Duration, u64), Deed>,
    put_down: u64,
    /// When repetitions end.
    end: Duration,
    churn: Option<Churn>,
    seed: u64,
    dice: BTreeMap<usize, Dice>,
}

impl Agenda {
    /// The agenda of a scenario with these steps.
    #[must_use]
    pub fn new(scenario: &Scenario, steps: Vec<Step>) -> Self {
        let (_, end) = scenario.phases.fault_phase();
        let script = steps.into_iter().map(|step| Step { at: whole(step.at), ..step }).collect();
        Self {
            script,
            later: BTreeMap::new(),
            put_down: 0,
            end,
            churn: scenario.churn.clone(),
            seed: scenario.seed,
            dice: BTreeMap::new(),
        }
    }

    /// When the next deed is due, if that is before `until`.
    #[must_use]
    pub fn next_before(&self, until: Duration) -> Option<Duration> {
        let scripted = self.script.front().map(|step| step.at);
        let later = self.later.keys().next().map(|(at, _)| *at);
        scripted.into_iter().chain(later).min().filter(|at| *at < until)
    }

    /// Takes a deed that is due, and puts down what it brings with it. Says too whether it goes on
    /// with something that began before.
    pub fn due(&mut self, now: Duration) -> Option<(Deed, bool)> {
        let scripted = self.script.front().map(|step| step.at).filter(|at| *at <= now);
        let later = self.later.keys().next().copied().filter(|(at, _)| *at <= now);
        // What goes on comes first: its turn ends where something else begins.
        let (at, deed, again) = match (scripted, later) {
            (scripted, Some(key)) if scripted.is_none_or(|at| key.0 <= at) => {
                (key.0, self.later.remove(&key)?, true)
            }
            (Some(at), _) => (at, self.script.pop_front()?.deed, false),
            _ => return None,
        };
        let deed = self.complete(deed);
        self.repeat(at, &deed);
        Some((deed, again))
    }

    /// Whether a peer that comes back has lost its disk is drawn when it does.
    fn complete(&mut self, deed: Deed) -> Deed {
        match (deed, &self.churn) {
            (Deed::ComeAndGo { host, is_away: true, .. }, Some(churn)) => {
                let chance = crate::dice::Chance::new(churn.lose_state);
                let lose_state = self.dice_of(host).happens(chance);
                Deed::ComeAndGo { host, is_away: true, lose_state }
            }
            (deed, _) => deed,
        }
    }

    fn repeat(&mut self, at: Duration, deed: &Deed) {
        match deed {
            Deed::Flip { off, on, until, is_off, .. } => {
                let next = at.saturating_add(if *is_off { *on } else { *off });
                let mut again = deed.clone();
                if let Deed::Flip { is_off, .. } = &mut again {
                    *is_off = !*is_off;
                }
                // The last turn is cut short, so that nothing stays off.
                let next = if *is_off { next } else { next.min(*until) };
                if next < *until || !*is_off {
                    self.put_down(next, again);
                }
            }
            Deed::ComeAndGo { host, is_away, .. } => {
                let Some(churn) = &self.churn else { return };
                let mean = if *is_away { churn.session } else { churn.absence };
                let next = at.saturating_add(exponential(self.dice_of(*host), mean));
                if next < self.end {
                    let again =
                        Deed::ComeAndGo { host: *host, is_away: !is_away, lose_state: false };
                    self.put_down(next, again);
                }
            }
            _ => {}
        }
    }

    fn put_down(&mut self, at: Duration, deed: Deed) {
        let at = whole(at);
        self.put_down += 1;
        self.later.insert((at, self.put_down), deed);
    }

    fn dice_of(&mut self, host: usize) -> &mut Dice {
        let seed = self.seed;
        self.dice.entry(host).or_insert_with(|| Dice::new(seed, "sessions", host as u64))
    }
}
