//! A multiple-choice knapsack, solved exactly by dynamic programming over the sum of the sizes
//! (Kellerer, Pferschy and Pisinger, *Knapsack Problems*, section 11.5).

/// States of the dynamic program, items times sums, that are still quick and small.
pub(crate) const MAX_STATES: usize = 50_000_000;

/// What an item may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Choice {
    /// What it adds to the sum that is bounded.
    pub size: usize,
    /// What it adds to what is minimised.
    pub cost: f64,
}

pub(crate) fn least(choices: &[Vec<Choice>]) -> usize {
    choices.iter().filter_map(|choices| choices.first()).map(|choice| choice.size).sum()
}

/// The size of each item for which the costs add up to the least, and the sizes to no more
/// than `budget`; of equal costs, the smaller sum of sizes. None if there are too many to go
/// through.
///
/// The choices of an item are in ascending order of their sizes; there is at least one, and
/// the smallest ones fit the budget.
pub(crate) fn choose(choices: &[Vec<Choice>], budget: usize) -> Option<Vec<usize>> {
    let least = least(choices);
    let spread = |choices: &Vec<Choice>| Some(choices.last()?.size - choices.first()?.size);
    let most: usize = choices.iter().filter_map(spread).sum();
    // Sums above `least`; more than all can take is no use.
    let sums = budget.saturating_sub(least).min(most) + 1;
    if sums.saturating_mul(choices.len()) > MAX_STATES {
        return None;
    }

    // best[s]: the least cost of the items so far whose sizes add up to s above their
    // smallest.
    let mut best = vec![f64::INFINITY; sums];
    best[0] = 0.0;
    let mut taken: Vec<Vec<u32>> = Vec::with_capacity(choices.len());
    for choices in choices {
        let mut next = vec![f64::INFINITY; sums];
        let mut took = vec![0; sums];
        for (at, choice) in choices.iter().enumerate() {
            let above = choice.size - choices[0].size;
            for sum in above..sums {
                let cost = best[sum - above] + choice.cost;
                if cost < next[sum] {
                    next[sum] = cost;
                    took[sum] = at as u32;
                }
            }
        }
        best = next;
        taken.push(took);
    }

    let cheapest = best.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1));
    let mut sum = cheapest.map_or(0, |(sum, _)| sum);
    let mut sizes: Vec<usize> = choices
        .iter()
        .zip(&taken)
        .rev()
        .map(|(choices, took)| {
            let choice = choices[took[sum] as usize];
            sum -= choice.size - choices[0].size;
            choice.size
        })
        .collect();
    sizes.reverse();
    Some(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn brute_force(choices: &[Vec<Choice>], budget: usize) -> f64 {
        let Some((first, rest)) = choices.split_first() else { return 0.0 };
        let fitting = first.iter().filter(|choice| choice.size + least(rest) <= budget);
        fitting
            .map(|choice| choice.cost + brute_force(rest, budget - choice.size))
            .fold(f64::INFINITY, f64::min)
    }

    fn instances() -> impl Strategy<Value = (Vec<Vec<Choice>>, usize)> {
        let item =
            prop::collection::btree_map(1usize..40, 0.0f64..10.0, 1..6).prop_map(|choices| {
                choices.into_iter().map(|(size, cost)| Choice { size, cost }).collect::<Vec<_>>()
            });
        (prop::collection::vec(item, 1..6), 0usize..120)
            .prop_map(|(choices, room)| (choices.clone(), least(&choices) + room))
    }

    proptest! {
        #[test]
        fn the_choice_is_as_good_as_any((choices, budget) in instances()) {
            let sizes = choose(&choices, budget).unwrap();
            prop_assert_eq!(sizes.len(), choices.len());
            prop_assert!(sizes.iter().sum::<usize>() <= budget);
            let cost: f64 = choices.iter().zip(&sizes).map(|(choices, &size)| {
                choices.iter().find(|choice| choice.size == size).unwrap().cost
            }).sum();
            prop_assert!((cost - brute_force(&choices, budget)).abs() < 1e-9);
        }
    }

    #[test]
    fn of_equal_costs_the_smaller_sum_is_taken() {
        let flat: Vec<Choice> = (8..=16).map(|size| Choice { size, cost: 1.0 }).collect();
        assert_eq!(choose(&[flat.clone(), flat], 1000).unwrap(), [8, 8]);
    }

    #[test]
    fn what_is_too_large_is_refused_before_it_is_tried() {
        let wide = vec![Choice { size: 1, cost: 2.0 }, Choice { size: 1 << 24, cost: 1.0 }];
        assert_eq!(choose(&vec![wide; 100], usize::MAX), None);
    }
}
