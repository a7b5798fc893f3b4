//! How many pods each ReplicaSet of a Deployment should have next: rolling update, recreation and proportional scaling. Pure
//! arithmetic over numbers of pods. Upstream rule: `pkg/controller/deployment/{rolling,recreate,sync}.go`.

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The numbers of a Deployment that its strategy works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Pods asked for.
    pub(super) replicas: i32,
    /// Pods above that during a roll.
    pub(super) surge: i32,
    /// Pods that may be missing during a roll.
    pub(super) unavailable: i32,
    /// Old pods go before new ones come.
    pub(super) recreate: bool,
}

impl Bounds {
    pub(super) fn of(deployment: &Deployment) -> Self {
        let spec = deployment.spec.as_ref();
        let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1).max(0);
        let strategy = spec.and_then(|spec| spec.strategy.as_ref());
        if strategy.is_some_and(|strategy| strategy.type_.as_deref() == Some("Recreate")) {
            return Self { replicas, surge: 0, unavailable: 0, recreate: true };
        }
        let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let share = |value: Option<&IntOrString>, up: bool| share(value, replicas, up);
        let surge = share(rolling.and_then(|rolling| rolling.max_surge.as_ref()), true);
        let mut unavailable = share(rolling.and_then(|rolling| rolling.max_unavailable.as_ref()), false);
        if surge == 0 && unavailable == 0 {
            unavailable = 1;
        }
        Self { replicas, surge, unavailable: unavailable.min(replicas), recreate: false }
    }

    /// Pods that must stay available during a roll.
    pub(super) fn least_available(self) -> i32 {
        self.replicas - self.unavailable
    }

    /// Pods that there may be at most.
    pub(super) fn most(self) -> i32 {
        self.replicas.saturating_add(self.surge)
    }
}

/// A number, or a percentage of `total`; 25 % when there is none.
pub(crate) fn share(value: Option<&IntOrString>, total: i32, up: bool) -> i32 {
    let percent = match value {
        Some(IntOrString::Int(number)) => return (*number).max(0),
        Some(IntOrString::String(text)) => text.trim_end_matches('%').parse::<i64>().unwrap_or_default(),
        None => 25,
    };
    let parts = percent.max(0) * i64::from(total);
    let whole = if up { parts.saturating_add(99) / 100 } else { parts / 100 };
    i32::try_from(whole).unwrap_or(i32::MAX)
}

/// A ReplicaSet reduced to its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Pods asked for.
    pub(super) wanted: i32,
    /// Pods available.
    pub(super) available: i32,
}

impl Size {
    pub(super) fn of(set: &ReplicaSet) -> Self {
        let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let available = set.status.as_ref().and_then(|status| status.available_replicas);
        Self { wanted, available: available.unwrap_or_default() }
    }
}

/// How many pods the new ReplicaSet should have now, given what it and the old ones were asked to have.
pub(super) fn grow(bounds: Bounds, new: i32, old: &[Size]) -> i32 {
    if bounds.recreate || new >= bounds.replicas {
        return bounds.replicas;
    }
    let all = old.iter().fold(new, |sum, size| sum.saturating_add(size.wanted));
    new + (bounds.most() - all).clamp(0, bounds.replicas - new)
}

/// How many pods the old ReplicaSets, oldest first, should have now: sick ones go first, then what availability allows.
pub(super) fn shrink(bounds: Bounds, new: Size, old: &[Size]) -> Vec<i32> {
    let mut wanted: Vec<i32> = old.iter().map(|size| size.wanted).collect();
    let all = wanted.iter().fold(new.wanted, |sum, one| sum.saturating_add(*one));
    let new_missing = new.wanted - new.available;
    let mut sick_allowance = all - bounds.least_available() - new_missing;
    if sick_allowance <= 0 {
        return wanted;
    }
    for (wanted, size) in wanted.iter_mut().zip(old) {
        let sick = (*wanted - size.available).clamp(0, sick_allowance);
        *wanted -= sick;
        sick_allowance -= sick;
    }
    let available = old.iter().fold(new.available, |sum, size| sum.saturating_add(size.available));
    let mut allowance = available - bounds.least_available();
    for wanted in &mut wanted {
        let step = (*wanted).clamp(0, allowance.max(0));
        *wanted -= step;
        allowance -= step;
    }
    wanted
}

/// Spreads a change of `spec.replicas` over ReplicaSets that share the pods, in proportion to their sizes, the largest
/// taking what is left over. `most_before` is the bound that the sizes were made for.
pub(super) fn proportional(most: i32, most_before: i32, sizes: &[i32]) -> Vec<i32> {
    let all: i32 = sizes.iter().fold(0, |sum, one| sum.saturating_add(*one));
    let mut left = most - all;
    let mut result = sizes.to_vec();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(sizes[*index]));
    for &index in &order {
        let share = i64::from(sizes[index]) * i64::from(most);
        let base = i64::from(most_before.max(1));
        let target = i32::try_from((share + base / 2) / base).unwrap_or(i32::MAX);
        let change = target - sizes[index];
        let change = if left > 0 { change.clamp(0, left) } else { change.clamp(left, 0) };
        result[index] += change;
        left -= change;
    }
    if let Some(&first) = order.first() {
        result[first] = (result[first] + left).max(0);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(replicas: i32, surge: i32, unavailable: i32) -> Bounds {
        Bounds { replicas, surge, unavailable, recreate: false }
    }

    fn size(wanted: i32, available: i32) -> Size {
        Size { wanted, available }
    }

    #[test]
    fn shares_round_surge_up_and_unavailable_down() {
        assert_eq!(share(None, 10, true), 3);
        assert_eq!(share(None, 10, false), 2);
        assert_eq!(share(Some(&IntOrString::String("50%".to_owned())), 3, true), 2);
        assert_eq!(share(Some(&IntOrString::Int(4)), 3, true), 4);
    }

    #[test]
    fn a_roll_grows_by_the_surge_and_shrinks_by_what_is_available() {
        let three = bounds(3, 1, 0);
        assert_eq!(grow(three, 0, &[size(3, 3)]), 1);
        assert_eq!(shrink(three, size(1, 0), &[size(3, 3)]), [3]);
        assert_eq!(shrink(three, size(1, 1), &[size(3, 3)]), [2]);
        assert_eq!(grow(three, 1, &[size(2, 2)]), 2);
        assert_eq!(grow(bounds(10, 3, 2), 0, &[size(10, 10)]), 3);
        assert_eq!(shrink(bounds(10, 3, 2), size(3, 0), &[size(10, 10)]), [8]);
    }

    #[test]
    fn sick_pods_of_old_sets_go_first() {
        assert_eq!(shrink(bounds(10, 3, 2), size(3, 3), &[size(8, 0), size(2, 2)]), [3, 2]);
        assert_eq!(
            shrink(bounds(3, 1, 0), size(1, 0), &[size(3, 0)]),
            [3],
            "nothing may go while the new one is missing"
        );
        assert_eq!(shrink(bounds(4, 1, 1), size(1, 1), &[size(2, 1), size(2, 2)]), [0, 2]);
    }

    #[test]
    fn scaling_in_the_middle_of_a_roll_is_shared() {
        assert_eq!(proportional(10, 5, &[2, 3]), [4, 6]);
        assert_eq!(proportional(5, 10, &[4, 6]), [2, 3]);
        assert_eq!(proportional(0, 10, &[4, 6]), [0, 0]);
        assert_eq!(proportional(13, 13, &[3, 8]), [3, 10]);
    }
}
