//! Who plays which part in a script: sets of peers become hosts.
//!
//! What a scenario names is fixed first and what is left to the dice is drawn from the rest, so
//! that no draw contradicts what is written. Every fault draws from a stream of its own: removing
//! one changes nothing for the others.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::dice::Dice;
use crate::scenario::{Choice, Entry, Fault, MAX_PEERS, Problem, Scenario, Who};

/// The hosts of every set of a scenario.
#[derive(Clone, Debug, Default)]
pub(super) struct Cast {
    /// Members of each group.
    pub(super) groups: BTreeMap<String, Vec<usize>>,
    /// For each fault, the hosts of each of its sets; those that join, for a join.
    pub(super) faults: Vec<Vec<Vec<usize>>>,
    /// Peers that come and go.
    pub(super) churn: Vec<usize>,
}

/// Finds the hosts of every set.
pub(super) fn cast(scenario: &Scenario) -> Result<Cast, Problem> {
    let mut casting = Casting::new(scenario)?;
    casting.groups()?;
    let exclusive = |drawn: bool| {
        move |entry: &Entry| {
            entry.fault.is_exclusive() && entry.fault.sets().any(|(_, who)| who.is_drawn() == drawn)
        }
    };
    casting.churn(false)?;
    casting.faults(exclusive(false))?;
    casting.churn(true)?;
    casting.faults(exclusive(true))?;
    casting.faults(|entry| !entry.fault.is_exclusive())?;
    Ok(casting.cast)
}

/// A time in which something decides alone whether the process of a host runs.
#[derive(Clone, Debug)]
struct Booking {
    from: Duration,
    until: Duration,
    /// Whether it is about processes, and makes no sense for one that is gone.
    needs_process: bool,
    what: String,
}

struct Casting<'a> {
    scenario: &'a Scenario,
    /// When each host joins, since the beginning of the fault phase.
    joins: Vec<Duration>,
    booked: Vec<Vec<Booking>>,
    cast: Cast,
}

impl<'a> Casting<'a> {
    fn new(scenario: &'a Scenario) -> Result<Self, Problem> {
        let mut casting = Self {
            scenario,
            joins: vec![Duration::ZERO; scenario.peers],
            booked: Vec::new(),
            cast: Cast { faults: vec![Vec::new(); scenario.faults.len()], ..Cast::default() },
        };
        for index in in_time_order(scenario) {
            let Some(entry) = scenario.faults.get(index) else { continue };
            let Fault::Join { count } = entry.fault else { continue };
            let first = casting.joins.len();
            let Some(total) = first.checked_add(count).filter(|total| *total <= MAX_PEERS) else {
                let what = format!("{count} more peers than the {first} that are there");
                let expected = format!("{MAX_PEERS} peers at most");
                return Err(Problem::new(format!("faults[{index}].count"), what, expected));
            };
            casting.joins.resize(total, entry.at.0);
            if let Some(place) = casting.cast.faults.get_mut(index) {
                *place = vec![(first..total).collect()];
            }
        }
        casting.booked = vec![Vec::new(); casting.joins.len()];
        Ok(casting)
    }

    /// Written groups first: a draw takes nobody from them.
    fn groups(&mut self) -> Result<(), Problem> {
        let scenario = self.scenario;
        let mut taken: BTreeMap<usize, &str> = BTreeMap::new();
        for drawn in [false, true] {
            for (index, group) in scenario.groups.iter().enumerate() {
                if group.peers.is_drawn() != drawn {
                    continue;
                }
                let path = format!("groups[{index}].peers");
                if let Ok(Choice::Group(other)) = group.peers.choice() {
                    let what = format!("it is made of the group `{other}`");
                    return Err(Problem::new(path, what, "a group is made of peers"));
                }
                let mut dice = Dice::new(scenario.seed, "group", index as u64);
                let free: Vec<usize> =
                    (0..scenario.peers).filter(|peer| !taken.contains_key(peer)).collect();
                let members = self.choose(&group.peers, &path, &mut dice, scenario.peers, free)?;
                for &member in &members {
                    if member >= scenario.peers {
                        return Err(no_such_peer(path, member, scenario.peers));
                    }
                    if let Some(other) = taken.insert(member, &group.name) {
                        let what = format!("peer {member} is in the group `{other}` too");
                        return Err(Problem::new(path, what, "each peer in one group at most"));
                    }
                }
                self.cast.groups.insert(group.name.clone(), members);
            }
        }
        Ok(())
    }

    fn churn(&mut self, drawn: bool) -> Result<(), Problem> {
        let scenario = self.scenario;
        let churn = scenario.churn.as_ref().filter(|churn| churn.peers.is_drawn() == drawn);
        let Some(churn) = churn else { return Ok(()) };
        let booking = Booking {
            from: Duration::ZERO,
            until: scenario.phases.faults.0,
            needs_process: true,
            what: "churn".to_owned(),
        };
        let mut dice = Dice::new(scenario.seed, "churn", 0);
        let hosts = self.pick(&churn.peers, "churn.peers", &mut dice, &booking, true)?;
        self.book(&hosts, "churn.peers", &booking)?;
        self.cast.churn = hosts;
        Ok(())
    }

    fn faults(&mut self, which: impl Fn(&Entry) -> bool) -> Result<(), Problem> {
        let scenario = self.scenario;
        for index in in_time_order(scenario) {
            let Some(entry) = scenario.faults.get(index).filter(|entry| which(entry)) else {
                continue;
            };
            if matches!(entry.fault, Fault::Join { .. }) {
                continue;
            }
            let sets = self.sets(index, entry)?;
            if let Some(place) = self.cast.faults.get_mut(index) {
                *place = sets;
            }
        }
        Ok(())
    }

    fn sets(&mut self, index: usize, entry: &Entry) -> Result<Vec<Vec<usize>>, Problem> {
        let exclusive = entry.fault.is_exclusive();
        let mut dice = Dice::new(self.scenario.seed, "fault", index as u64);
        let mut booking = Booking {
            from: entry.at.0,
            until: entry.lasts.map_or(Duration::MAX, |lasts| entry.at.0 + lasts.0),
            needs_process: entry.fault.needs_process(),
            what: format!("{} at {}", entry.fault.name(), entry.at),
        };
        if let Fault::RollingRestart { peers, every, down, .. } = &entry.fault {
            // How many there are decides how long it takes.
            let hosts = self.pick(peers, "", &mut dice.clone(), &booking, false);
            let last = hosts.map_or(0, |hosts| hosts.len().saturating_sub(1));
            let turns = u32::try_from(last).unwrap_or(u32::MAX);
            booking.until = entry.at.0 + every.0.saturating_mul(turns) + down.0;
        }
        let named: Vec<(String, &Who)> = entry.fault.sets().collect();
        let mut sets = vec![Vec::new(); named.len()];
        let mut taken = BTreeSet::new();
        for drawn in [false, true] {
            for (place, (key, who)) in named.iter().enumerate() {
                if who.is_drawn() != drawn {
                    continue;
                }
                let path = format!("faults[{index}].{key}");
                let hosts =
                    self.pick_besides(who, &path, &mut dice, &booking, exclusive, &taken)?;
                if matches!(entry.fault, Fault::Partition { .. })
                    && let Some(twice) = hosts.iter().find(|host| taken.contains(*host))
                {
                    let what = format!("peer {twice} is on two sides");
                    return Err(Problem::new(path, what, "each peer on one side at most"));
                }
                taken.extend(hosts.iter().copied());
                if exclusive {
                    self.book(&hosts, &path, &booking)?;
                }
                if let Some(set) = sets.get_mut(place) {
                    *set = hosts;
                }
            }
        }
        Ok(sets)
    }

    fn pick(
        &self,
        who: &Who,
        path: &str,
        dice: &mut Dice,
        booking: &Booking,
        exclusive: bool,
    ) -> Result<Vec<usize>, Problem> {
        self.pick_besides(who, path, dice, booking, exclusive, &BTreeSet::new())
    }

    /// Hosts that are there when something begins. Drawn ones are free for as long as it lasts, and
    /// none of `besides`.
    fn pick_besides(
        &self,
        who: &Who,
        path: &str,
        dice: &mut Dice,
        booking: &Booking,
        exclusive: bool,
        besides: &BTreeSet<usize>,
    ) -> Result<Vec<usize>, Problem> {
        let there: Vec<usize> = (0..self.joins.len())
            .filter(|&host| self.joins.get(host).is_some_and(|at| *at <= booking.from))
            .filter(|&host| self.gone(host, booking.from).is_none())
            .collect();
        let free = there.iter().copied().filter(|host| {
            !besides.contains(host) && (!exclusive || self.conflict(*host, booking).is_none())
        });
        let hosts = if who.choice() == Ok(Choice::All) {
            there.clone()
        } else {
            self.choose(who, path, dice, there.len(), free.collect())?
        };
        for &host in &hosts {
            match self.joins.get(host) {
                None => return Err(no_such_peer(path.to_owned(), host, self.joins.len())),
                Some(at) if *at > booking.from => {
                    let what = format!("peer {host} joins only {} later", span(*at - booking.from));
                    return Err(Problem::new(path, what, "peers that are there by then"));
                }
                Some(_) => {}
            }
            let gone = self.gone(host, booking.from).filter(|_| booking.needs_process);
            if let Some(gone) = gone {
                let what = format!("peer {host} is away from then on ({})", gone.what);
                return Err(Problem::new(path, what, "peers that are still there"));
            }
        }
        Ok(hosts)
    }

    fn choose(
        &self,
        who: &Who,
        path: &str,
        dice: &mut Dice,
        peers: usize,
        free: Vec<usize>,
    ) -> Result<Vec<usize>, Problem> {
        if let Some(problem) = crate::scenario::unreadable(path.to_owned(), who) {
            return Err(problem);
        }
        let Ok(choice) = who.choice() else { return Ok(Vec::new()) };
        match choice {
            Choice::Count(_) | Choice::Share(_) => {
                let count = choice.drawn_of(peers).unwrap_or_default();
                if count > free.len() {
                    let what = format!("{count} peers are to be drawn");
                    let expected =
                        format!("at most {}: so many are not taken by something else", free.len());
                    return Err(Problem::new(path, what, expected));
                }
                let drawn = dice.sample(count, free.len());
                let mut hosts: Vec<usize> =
                    drawn.into_iter().filter_map(|place| free.get(place).copied()).collect();
                hosts.sort_unstable();
                Ok(hosts)
            }
            Choice::Listed(hosts) => Ok(hosts.to_vec()),
            // One host behind the last is enough to be told that there is none.
            Choice::Range(from, to) => {
                Ok((from..to.min((self.joins.len() + 1).max(from + 1))).collect())
            }
            Choice::All => Ok((0..peers).collect()),
            Choice::Group(name) => self.cast.groups.get(name).cloned().ok_or_else(|| {
                let names: Vec<&str> =
                    self.scenario.groups.iter().map(|group| group.name.as_str()).collect();
                let expected = match names.as_slice() {
                    [] => "a count, share, list, range or \"all\": there are no groups".to_owned(),
                    names => format!("one of the groups {}", names.join(", ")),
                };
                Problem::new(path, format!("there is no group `{name}`"), expected)
            }),
        }
    }

    fn book(&mut self, hosts: &[usize], path: &str, booking: &Booking) -> Result<(), Problem> {
        for &host in hosts {
            if let Some(other) = self.conflict(host, booking) {
                let what = format!("peer {host} is already taken then by {}", other.what);
                let expected = "one fault at a time that stops, pauses or sends away a peer";
                return Err(Problem::new(path, what, expected));
            }
            if let Some(bookings) = self.booked.get_mut(host) {
                bookings.push(booking.clone());
            }
        }
        Ok(())
    }

    fn conflict(&self, host: usize, booking: &Booking) -> Option<&Booking> {
        let bookings = self.booked.get(host)?;
        bookings.iter().find(|other| other.from < booking.until && booking.from < other.until)
    }

    /// What took a host away for good before some time.
    fn gone(&self, host: usize, at: Duration) -> Option<&Booking> {
        let bookings = self.booked.get(host)?;
        bookings.iter().find(|other| other.until == Duration::MAX && other.from < at)
    }
}

/// Indices of the faults in the order in which they begin.
fn in_time_order(scenario: &Scenario) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scenario.faults.len()).collect();
    order.sort_by_key(|&index| scenario.faults.get(index).map(|entry| entry.at));
    order
}

fn no_such_peer(path: String, peer: usize, peers: usize) -> Problem {
    let what = format!("there is no peer {peer}");
    Problem::new(path, what, format!("0 to {}: there are {peers} peers", peers.saturating_sub(1)))
}

fn span(duration: Duration) -> crate::scenario::Span {
    crate::scenario::Span(duration)
}
