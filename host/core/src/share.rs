//! How hosts divide the places of a service among them: max-min fair, in whole places.

use crate::time::Wall;

/// The share of each claim, for so many places in all: nobody gets more than he wants, nobody gets less than another one who has more than
/// himself unless he wants no more, and nothing is left over that somebody wants. What cannot be divided goes to those who come first.
///
/// Max-min fairness by progressive filling: Bertsekas and Gallager, "Data Networks", 6.5.2.
#[must_use]
pub fn max_min(places: u32, wanted: &[u32]) -> Vec<u32> {
    let mut shares = vec![0; wanted.len()];
    let mut left = places;
    loop {
        let open: Vec<usize> = (0..wanted.len())
            .filter(|&claim| shares[claim] < wanted[claim])
            .collect();
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
        if count == 0 || left == 0 {
            return shares;
        }
        let each = left / count;
        for claim in open {
            let given = (wanted[claim] - shares[claim]).min(each.max(1)).min(left);
            shares[claim] += given;
            left -= given;
        }
    }
}

/// What one host has, and wants, of the places of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Places that it may use now.
    pub held: u32,
    /// Places that it could use.
    pub wanted: u32,
    /// Since when it has had places, or has had none.
    pub since: Wall,
}

impl Claim {
    /// The claim of a host that has and wants that now.
    #[must_use]
    pub fn renewed(self, held: u32, wanted: u32, now: Wall) -> Self {
        let same = (self.held == 0) == (held == 0);
        Self {
            held,
            wanted,
            since: if same { self.since } else { now },
        }
    }
}

/// What a claim comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Places that the host may use from now on: no fewer than it had, since some may be in use.
    pub held: u32,
    /// Places that it should come down to, or grow to once others have come down to theirs.
    pub target: u32,
    /// Hosts that the places are divided among.
    pub hosts: u32,
}

/// The share of the claim `own` of all: what is fair, as far as others have left it. Those who have nothing come first, who has waited longest
/// before all, and of the others who was served last: so a place that cannot be divided goes round.
#[must_use]
pub fn share(places: u32, own: usize, claims: &[Claim]) -> Share {
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&claim| {
        let Claim { held, since, .. } = claims[claim];
        if held == 0 { (0, since.0) } else { (1, -since.0) }
    });
    let wanted: Vec<u32> = order.iter().map(|&claim| claims[claim].wanted).collect();
    let fair = max_min(places, &wanted);
    let target = order
        .iter()
        .position(|&claim| claim == own)
        .map_or(0, |place| fair[place]);
    let others = claims.iter().enumerate().filter(|&(claim, _)| claim != own);
    let taken = others.fold(0_u32, |taken, (_, claim)| taken.saturating_add(claim.held));
    let held = claims.get(own).map_or(0, |claim| claim.held);
    Share {
        held: held.max(target.min(places.saturating_sub(taken))),
        target,
        hosts: u32::try_from(claims.len()).unwrap_or(u32::MAX),
    }
}
