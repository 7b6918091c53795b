//! AUTO: which backend is taken, as a function of what PyTorch looks at.
//!
//! `torch` follows PyTorch 2.11 (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp). Its order
//! is FLASH, MEM_EFFICIENT, MATH, CUDNN; on compute capability 9.0 and 10.x with a cuDNN later than
//! 9.15.0 CUDNN comes first. The first whose conditions hold is taken:
//!
//! | backend | conditions |
//! |---|---|
//! | CUDNN | head_dim is a multiple of 8, up to 256 on 9.0 with cuDNN 9.10 or later, else 128 |
//! | FLASH | head_dim up to 256; one that is no multiple of 8 is padded to the next |
//! | MEM_EFFICIENT | head_dim is a multiple of 8; as many KV heads as of queries |
//! | MATH | none |
//!
//! The conditions are the backends' `torch_refusal`.
//!
//! `fastest` is what a user could do instead: [`candidates`] are timed, and the best one is kept.

use super::backend::Machine;
use super::backends::{Route, named};
use crate::workload::{Backend, Sdpa};

/// What a CPU takes: it has one fused backend.
pub fn on_the_cpu(sdpa: &Sdpa) -> (Route, String) {
    (Route::of(Backend::CpuBlocked, sdpa), "the fused backend of a CPU".to_owned())
}

/// What PyTorch takes, and why: who was passed over for what. Element types are alike to it.
pub fn torch(machine: Machine, sdpa: &Sdpa) -> (Route, String) {
    use Backend::{Cudnn, Flash, Math, MemEfficient};
    let order = match prefers_cudnn(machine) {
        true => [Cudnn, Flash, MemEfficient, Math],
        false => [Flash, MemEfficient, Math, Cudnn],
    };
    let (major, minor) = machine.compute_capability;
    let cudnn = machine.cudnn.map_or_else(
        || "no cuDNN".to_owned(),
        |version| format!("cuDNN {}.{}.{}", version / 10_000, version / 100 % 100, version % 100),
    );
    let mut reason = format!("as PyTorch 2.11 on sm_{major}{minor} with {cudnn}: ");
    for backend in order {
        match named(backend).find_map(|backend| backend.torch_refusal(machine, sdpa)) {
            Some(refusal) => reason += &format!("{}: {refusal}; ", backend.name()),
            None => {
                let route = Route::of(backend, sdpa);
                reason += &route.to_string();
                return (route, reason);
            }
        }
    }
    unreachable!("MATH is in every order, and refuses nothing")
}

/// PyTorch's `check_prefer_cudnn_attention`.
fn prefers_cudnn(machine: Machine) -> bool {
    let has_fast_engines = matches!(machine.compute_capability, (9, 0) | (10, _));
    has_fast_engines && machine.cudnn.is_some_and(|version| version > 91_500)
}

/// What `fastest` tries: every backend of a GPU as it is, and CUDNN padded to the next multiples of
/// 8 and 16.
pub fn candidates(sdpa: &Sdpa) -> Vec<Route> {
    use Backend::{Cudnn, Flash, FlashUnpadded, Math, MathFp16, MemEfficient};
    let head_dim = sdpa.shape.head_dim;
    let as_it_is = |backend| Route::of(backend, sdpa);
    if head_dim.is_multiple_of(8) {
        // FLASH_UNPADDED would be FLASH.
        return [Cudnn, Flash, MemEfficient, MathFp16, Math].map(as_it_is).to_vec();
    }
    let mut padded = vec![head_dim.next_multiple_of(8), head_dim.next_multiple_of(16)];
    padded.dedup();
    let padded =
        padded.into_iter().map(|head_dim| Route { backend: Cudnn, pad_to: Some(head_dim) });
    padded.chain([Flash, FlashUnpadded, MathFp16, Math].map(as_it_is)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::SdpaShape;

    const A100: Machine = Machine { compute_capability: (8, 0), cudnn: Some(91_900) };
    const H200: Machine = Machine { compute_capability: (9, 0), cudnn: Some(91_900) };
    const B200: Machine = Machine { compute_capability: (10, 0), cudnn: Some(91_900) };

    fn sdpa(head_dim: usize) -> Sdpa {
        let shape = SdpaShape { batch: 4, seq_len: 2048, n_heads: 32, n_kv_heads: None, head_dim };
        Sdpa::dense(shape, Backend::Auto)
    }

    #[test]
    fn the_machine_and_the_head_dim_decide() {
        use Backend::{Cudnn, Flash, Math, MemEfficient};
        let with = |cudnn| Machine { cudnn, ..H200 };
        let table: [(_, &[usize], _, _); 17] = [
            (A100, &[8, 64, 128, 256], Flash, None),
            (A100, &[107], Flash, Some(112)),
            (A100, &[129], Flash, Some(136)),
            (A100, &[264], MemEfficient, None),
            (A100, &[257], Math, None),
            (Machine { cudnn: None, ..A100 }, &[64], Flash, None),
            (H200, &[64, 72, 104, 112, 128, 136, 256], Cudnn, None),
            (H200, &[107], Flash, Some(112)),
            (H200, &[250], Flash, Some(256)),
            (H200, &[264], MemEfficient, None),
            (with(Some(90_100)), &[128], Flash, None),
            (with(Some(91_500)), &[128], Flash, None),
            (with(Some(91_501)), &[128], Cudnn, None),
            (with(None), &[128], Flash, None),
            (B200, &[128], Cudnn, None),
            (B200, &[136], Flash, None),
            (B200, &[107], Flash, Some(112)),
        ];
        for (machine, head_dims, backend, pad_to) in table {
            for &head_dim in head_dims {
                let (route, reason) = torch(machine, &sdpa(head_dim));
                assert_eq!(route, Route { backend, pad_to }, "{machine:?}, {head_dim}");
                assert!(reason.ends_with(&route.to_string()), "{reason}");
            }
        }
    }

    #[test]
    fn a_reason_names_who_was_passed_over() {
        let (_, reason) = torch(H200, &sdpa(107));
        assert_eq!(
            reason,
            "as PyTorch 2.11 on sm_90 with cuDNN 9.19.0: CUDNN: head_dim 107 is no multiple of 8; \
             FLASH padded to 112"
        );
        let mut grouped = sdpa(264);
        grouped.shape.n_kv_heads = Some(8);
        let (route, reason) = torch(A100, &grouped);
        assert_eq!(route.backend, Backend::Math);
        assert!(reason.contains("8 KV heads"), "{reason}");
    }

    #[test]
    fn every_candidate_is_a_backend_of_a_gpu_and_stands_once() {
        for (head_dim, padded) in
            [(112, vec![]), (104, vec![]), (107, vec![112]), (97, vec![104, 112])]
        {
            let candidates = candidates(&sdpa(head_dim));
            for (index, route) in candidates.iter().enumerate() {
                assert!(!matches!(route.backend, Backend::Auto | Backend::CpuBlocked));
                assert!(!candidates[..index].contains(route));
            }
            let cudnn = candidates.iter().filter(|route| route.backend == Backend::Cudnn);
            let pads: Vec<usize> = cudnn.filter_map(|route| route.pad_to).collect();
            assert_eq!(pads, padded, "{head_dim}");
            assert!(
                candidates.iter().any(|route| *route == Route::of(Backend::Flash, &sdpa(head_dim)))
            );
        }
    }
}
