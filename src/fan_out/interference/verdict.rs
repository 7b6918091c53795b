//! Which GPU is an outlier, and what the others cost each; in words.

use super::gpu::{Conditions, Gpu};
use crate::stats::{deviation_of, median, sorted};
use crate::units::list;

/// A GPU is an outlier from this many of them on.
const DEVIATIONS: f64 = 3.0;
/// ... and from this many per cent on, however well the others agree: less is not worth a look at
/// the card.
const LEAST_PCT: f64 = 2.0;
/// A cost below this is not told from noise.
const COST: f64 = 1.01;
/// The same for the rate of one large GEMM, which is measured but once.
const FULL_LOAD_COST: f64 = 1.03;
/// The host takes this many times as long: it has too few cores, or they are taken.
const HOST_COST: f64 = 1.2;

pub fn limit_pct(gpus: &[Gpu]) -> Option<f64> {
    let levels: Option<Vec<f64>> = gpus.iter().map(|gpu| gpu.alone_vs_median_pct).collect();
    let levels = levels.filter(|levels| levels.len() > 2)?;
    let off: Vec<f64> = levels.iter().map(|level| level.abs()).collect();
    Some((DEVIATIONS * deviation_of(&off)?).max(LEAST_PCT))
}

pub fn is_outlier(gpu: &Gpu, limit_pct: Option<f64>) -> bool {
    gpu.alone_vs_median_pct.zip(limit_pct).is_some_and(|(off, limit)| off.abs() > limit)
}

pub fn findings(gpus: &[Gpu], limit_pct: Option<f64>) -> Vec<String> {
    let mut said = Vec::new();
    if gpus.iter().all(|gpu| gpu.uuid.is_none()) {
        let shared = "These are processes on one CPU: what they cost each other is the sharing of \
                      its cores.";
        said.push(shared.to_owned());
    }
    said.push(alone(gpus, limit_pct));
    said.extend(gpus.iter().filter_map(cost));
    said.extend(gpus.iter().filter_map(cost_at_full_load));
    let names = |which: fn(&Gpu) -> bool| -> Vec<&str> {
        gpus.iter().filter(|gpu| which(gpu)).map(|gpu| &*gpu.name).collect()
    };
    let host = names(is_host_slow);
    if !host.is_empty() {
        said.push(format!(
            "Side by side the host needs longer to enqueue a launch on {}: too few cores, or \
             others use them. Latencies have no host in them; the run takes longer.",
            list(&host)
        ));
    }
    let unknown = names(|gpu| gpu.slowdown.is_none());
    if !unknown.is_empty() {
        said.push(format!(
            "No case was timed on {} both alone and while all were at work.",
            list(&unknown)
        ));
    } else if gpus.len() > 1 && gpus.iter().all(|gpu| cost(gpu).is_none()) {
        said.push("Side by side, none is slower than alone by 1 % or more.".to_owned());
    }
    said
}

fn alone(gpus: &[Gpu], limit_pct: Option<f64>) -> String {
    let outliers: Vec<&Gpu> = gpus.iter().filter(|gpu| is_outlier(gpu, limit_pct)).collect();
    match (gpus, limit_pct) {
        ([_], _) => "One GPU has nothing to be compared with.".to_owned(),
        ([a, b], _) => two(a, b),
        (_, None) => "No case was timed on all GPUs: they cannot be compared.".to_owned(),
        (_, Some(limit)) if outliers.is_empty() => format!(
            "Alone, no GPU is an outlier: all {} are within {limit:.1} % of their median.",
            gpus.len()
        ),
        (_, Some(limit)) => {
            let each: Vec<String> = outliers.iter().map(|gpu| describe(gpu)).collect();
            format!(
                "Alone, {} from the median of {} GPUs, where {limit:.1} % is the limit.",
                list(&each),
                gpus.len()
            )
        }
    }
}

/// `cuda:3 (GPU-...) is an outlier: 6.1 % slower (at 1605 MHz)`
fn describe(gpu: &Gpu) -> String {
    let off = gpu.alone_vs_median_pct.unwrap_or_default();
    let uuid = gpu.uuid.as_ref().map(|uuid| format!(" ({uuid})")).unwrap_or_default();
    let mut text = format!(
        "{}{uuid} is an outlier: {:.1} % {}",
        gpu.name,
        off.abs(),
        if off > 0.0 { "slower" } else { "faster" }
    );
    if let Some(mhz) = gpu.alone.sm_mhz {
        text += &format!(" (at {mhz:.0} MHz{})", held(&gpu.alone));
    }
    text
}

fn held(conditions: &Conditions) -> String {
    match &conditions.throttle[..] {
        [] => String::new(),
        reasons => format!(", held down by {}", list(reasons)),
    }
}

/// Two differ from each other, and that is all they say.
fn two(a: &Gpu, b: &Gpu) -> String {
    let ratios = a.times.iter().filter_map(|of_a| {
        let of_b = b.times.iter().find(|of_b| of_b.case_id == of_a.case_id)?;
        Some(of_b.alone_ms / of_a.alone_ms)
    });
    let ratios = sorted(&ratios.collect::<Vec<_>>());
    let Some(ratio) = median(&ratios) else {
        return "No case was timed on both GPUs: they cannot be compared.".to_owned();
    };
    let (slow, fast, ratio) = if ratio < 1.0 { (a, b, 1.0 / ratio) } else { (b, a, ratio) };
    let pct = (ratio - 1.0) * 100.0;
    if pct < LEAST_PCT {
        return format!(
            "Alone, {} and {} are alike: their times differ by {pct:.1} %.",
            a.name, b.name
        );
    }
    format!(
        "Alone, {} is {pct:.1} % slower than {}. Of two, nothing says which is the unusual one: \
         compare with other runs of this model.",
        slow.name, fast.name
    )
}

fn cost(gpu: &Gpu) -> Option<String> {
    let slowdown = gpu.slowdown.filter(|slowdown| *slowdown > COST)?;
    if gpu.slowdown_ci95.is_some_and(|[low, _]| low <= 1.0) {
        return None;
    }
    let clock = gpu.together.sm_mhz.zip(gpu.alone.sm_mhz).map(|(together, alone)| {
        let held = held(&gpu.together);
        match alone / together > 1.0 + (slowdown - 1.0) / 2.0 {
            true => format!(": the SM clock falls from {alone:.0} to {together:.0} MHz{held}"),
            false => format!(": not by the SM clock ({alone:.0} and {together:.0} MHz)"),
        }
    });
    Some(format!(
        "Side by side, {} takes {slowdown:.3} times as long as alone{}.",
        gpu.name,
        clock.unwrap_or_default()
    ))
}

/// A large GEMM keeps a card at its limit of power, as few cases do.
fn cost_at_full_load(gpu: &Gpu) -> Option<String> {
    let (alone, together) = gpu.alone.fp16_tflops.zip(gpu.together.fp16_tflops)?;
    (alone > FULL_LOAD_COST * together).then(|| {
        format!(
            "At full load {} reaches {together:.0} TFLOP/s side by side and {alone:.0} alone: \
             power or cooling is shared.",
            gpu.name
        )
    })
}

fn is_host_slow(gpu: &Gpu) -> bool {
    let enqueue = gpu.together.enqueue_us.zip(gpu.alone.enqueue_us);
    enqueue.is_some_and(|(together, alone)| together > HOST_COST * alone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fan_out::interference::gpu::Times;

    fn gpus(levels_pct: &[f64]) -> Vec<Gpu> {
        let gpu = |(index, level_pct): (usize, &f64)| Gpu {
            name: format!("cuda:{index}"),
            uuid: Some(format!("GPU-{index}")),
            model: "H200".to_owned(),
            alone_vs_median_pct: Some(*level_pct),
            slowdown: Some(1.001),
            slowdown_ci95: Some([0.999, 1.002]),
            alone: Conditions { sm_mhz: Some(1900.0), ..Conditions::default() },
            together: Conditions { sm_mhz: Some(1890.0), ..Conditions::default() },
            times: vec![Times {
                case_id: "a".to_owned(),
                alone_ms: 1.0 + level_pct / 100.0,
                together_ms: 1.0,
            }],
        };
        levels_pct.iter().enumerate().map(gpu).collect()
    }

    fn outliers(levels_pct: &[f64]) -> Vec<usize> {
        let gpus = gpus(levels_pct);
        let limit = limit_pct(&gpus);
        (0..gpus.len()).filter(|&index| is_outlier(&gpus[index], limit)).collect()
    }

    #[test]
    fn an_outlier_differs_from_gpus_that_agree() {
        assert_eq!(outliers(&[0.1, -0.2, 0.0, 6.0, 0.3, -0.1, 0.2, -0.3]), [3]);
        assert_eq!(outliers(&[0.0, -0.1, 0.1, -5.0]), [3], "a fast one is unusual too");
        assert_eq!(outliers(&[0.0, 0.0, 0.0, 1.9]), [0; 0], "cards differ by so much");
        assert_eq!(outliers(&[0.0, -2.0, 2.5, 3.0, -3.5, 5.0]), [0; 0], "where all differ");
        assert_eq!(outliers(&[0.0, -0.2, 9.0]), [2]);
        assert_eq!(outliers(&[-5.0, 5.0]), [0; 0], "two cannot tell");
    }

    #[test]
    fn findings_say_which_and_why() {
        let mut found = gpus(&[0.0, 0.1, -0.1, 6.0]);
        found[3].alone.throttle = vec!["SW_THERMAL_SLOWDOWN".to_owned()];
        found[0].slowdown = Some(1.05);
        found[0].slowdown_ci95 = Some([1.04, 1.06]);
        found[0].together.sm_mhz = Some(1805.0);
        found[0].together.throttle = vec!["SW_POWER_CAP".to_owned()];
        found[1].slowdown = Some(1.05);
        found[1].slowdown_ci95 = None;
        found[2].alone.fp16_tflops = Some(680.0);
        found[2].together.fp16_tflops = Some(640.0);
        found[2].alone.enqueue_us = Some(5.0);
        found[2].together.enqueue_us = Some(9.0);
        let said = findings(&found, limit_pct(&found)).join("\n");
        for part in [
            "cuda:3 (GPU-3) is an outlier: 6.0 % slower (at 1900 MHz, held down by \
             SW_THERMAL_SLOWDOWN)",
            "cuda:0 takes 1.050 times as long as alone: the SM clock falls from 1900 to 1805 MHz, \
             held down by SW_POWER_CAP",
            "cuda:1 takes 1.050 times as long as alone: not by the SM clock",
            "At full load cuda:2 reaches 640 TFLOP/s side by side and 680 alone",
            "enqueue a launch on cuda:2",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
        assert!(!said.contains("none is slower"), "{said}");
    }

    #[test]
    fn two_gpus_are_compared_with_each_other_and_one_with_none() {
        let said = |levels: &[f64]| findings(&gpus(levels), None).join(" ");
        let two = said(&[0.0, 4.0]);
        assert!(two.contains("cuda:1 is 4.0 % slower than cuda:0. Of two, nothing says"), "{two}");
        assert!(two.contains("Side by side, none is slower"), "{two}");
        assert!(
            said(&[1.0, 0.0]).contains("cuda:0 and cuda:1 are alike: their times differ by 1.0 %")
        );
        assert!(said(&[0.0]).contains("One GPU has nothing"));
        let mut missed = gpus(&[0.0, 0.0]);
        missed[1].slowdown = None;
        let missed = findings(&missed, None).join(" ");
        assert!(missed.contains("No case was timed on cuda:1 both"), "{missed}");
        assert!(!missed.contains("none is slower"), "{missed}");
    }
}
