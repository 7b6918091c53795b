//! Who chooses: which backend PyTorch's AUTO takes, as a function of what PyTorch looks at, and
//! what NS_FASTEST tries.
//!
//! [`torch`] follows PyTorch 2.11 (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp). Its order
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
//! The conditions are the `torch_refusal` of the backends that stand in.

use super::backend::Machine;
use super::backends::{Route, named};
use crate::workload::{Backend, Sdpa};

/// The backend that PyTorch's AUTO takes, and why: who was passed over for what. Element types are
/// alike to it.
pub fn torch(machine: Machine, sdpa: &Sdpa) -> (Backend, String) {
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
    let mut passed_over = Vec::new();
    for name in order {
        let mut ours = name.stand_in().into_iter().flat_map(named);
        match ours.find_map(|backend| backend.torch_refusal(machine, sdpa)) {
            Some(refusal) => passed_over.push(format!("{}: {refusal}", name.name())),
            None => {
                let reason = format!("PyTorch 2.11 on sm_{major}{minor} with {cudnn} takes");
                let reason = [&[format!("{reason} {}", name.name())], &*passed_over].concat();
                return (name, reason.join("; "));
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

/// What NS_FASTEST tries on a CPU.
pub fn candidates_on_the_cpu(sdpa: &Sdpa) -> Vec<Route> {
    [Backend::CpuBlocked, Backend::NsMath].map(|backend| Route::of(backend, sdpa)).to_vec()
}

/// From so many queries on the backends that write their scores to memory are not tried where
/// another runs: in S1 on an H100 they take 3 to 17 times as long. The scores of one query are few.
const FUSED_FROM: usize = 512;

/// Whether a backend cannot be the fastest where a fused one runs.
pub fn is_hopeless(backend: Backend, sdpa: &Sdpa) -> bool {
    let is_unfused = matches!(backend, Backend::NsMath | Backend::NsMathFp16);
    is_unfused && sdpa.shape.seq_len >= FUSED_FROM
}

/// What NS_FASTEST tries on a GPU: every backend as it is, and NS_CUDNN padded to the next
/// multiples of 8 and 16; the unfused last. One query on a KV cache has those that take it: to pad
/// a cache costs more than to read it.
pub fn candidates(sdpa: &Sdpa) -> Vec<Route> {
    use Backend::{
        NsCudnn, NsFlash, NsFlashDecode, NsFlashUnpadded, NsMath, NsMathFp16, NsMemEfficient,
    };
    let head_dim = sdpa.shape.head_dim;
    let as_it_is = |backend| Route::of(backend, sdpa);
    if sdpa.shape.kv_len.is_some() {
        return [NsFlashDecode, NsCudnn, NsMathFp16, NsMath].map(as_it_is).to_vec();
    }
    if head_dim.is_multiple_of(8) {
        // NS_FLASH_UNPADDED would be NS_FLASH.
        return [NsCudnn, NsFlash, NsMemEfficient, NsMathFp16, NsMath].map(as_it_is).to_vec();
    }
    let mut padded = vec![head_dim.next_multiple_of(8), head_dim.next_multiple_of(16)];
    padded.dedup();
    let padded =
        padded.into_iter().map(|head_dim| Route { backend: NsCudnn, pad_to: Some(head_dim) });
    padded.chain([NsFlash, NsFlashUnpadded, NsMathFp16, NsMath].map(as_it_is)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::{Provider, SdpaShape};

    const A100: Machine = Machine { compute_capability: (8, 0), cudnn: Some(91_900) };
    const H200: Machine = Machine { compute_capability: (9, 0), cudnn: Some(91_900) };
    const B200: Machine = Machine { compute_capability: (10, 0), cudnn: Some(91_900) };

    fn sdpa(head_dim: usize) -> Sdpa {
        let shape = SdpaShape {
            batch: 4,
            seq_len: 2048,
            kv_len: None,
            n_heads: 32,
            n_kv_heads: None,
            head_dim,
        };
        Sdpa::dense(shape, Backend::Auto)
    }

    #[test]
    fn the_machine_and_the_head_dim_decide() {
        use Backend::{Cudnn, Flash, Math, MemEfficient};
        let with = |cudnn| Machine { cudnn, ..H200 };
        let table: [(_, &[usize], _); 15] = [
            (A100, &[8, 64, 107, 128, 129, 256], Flash),
            (A100, &[264], MemEfficient),
            (A100, &[257], Math),
            (Machine { cudnn: None, ..A100 }, &[64], Flash),
            (H200, &[64, 72, 104, 112, 128, 136, 256], Cudnn),
            (H200, &[107], Flash),
            (H200, &[250], Flash),
            (H200, &[264], MemEfficient),
            (with(Some(90_100)), &[128], Flash),
            (with(Some(91_500)), &[128], Flash),
            (with(Some(91_501)), &[128], Cudnn),
            (with(None), &[128], Flash),
            (B200, &[128], Cudnn),
            (B200, &[136], Flash),
            (B200, &[107], Flash),
        ];
        for (machine, head_dims, backend) in table {
            for &head_dim in head_dims {
                let (taken, reason) = torch(machine, &sdpa(head_dim));
                assert_eq!(taken, backend, "{machine:?}, {head_dim}");
                assert!(reason.contains(&format!("takes {}", taken.name())), "{reason}");
            }
        }
    }

    #[test]
    fn a_reason_names_who_was_passed_over() {
        let (_, reason) = torch(H200, &sdpa(107));
        assert_eq!(
            reason,
            "PyTorch 2.11 on sm_90 with cuDNN 9.19.0 takes FLASH; \
             CUDNN: head_dim 107 is no multiple of 8"
        );
        let mut grouped = sdpa(264);
        grouped.shape.n_kv_heads = Some(8);
        let (taken, reason) = torch(A100, &grouped);
        assert_eq!(taken, Backend::Math);
        assert!(reason.contains("8 KV heads"), "{reason}");
    }

    #[test]
    fn every_published_name_but_auto_has_a_stand_in_of_ours() {
        for name in Backend::ALL {
            let expected = name.is_published() && name != Backend::Auto;
            assert_eq!(name.stand_in().is_some(), expected, "{}", name.name());
            assert!(name.stand_in().is_none_or(|ours| named(ours).next().is_some()));
        }
    }

    #[test]
    fn every_candidate_is_a_backend_of_a_gpu_and_stands_once() {
        for (head_dim, padded) in
            [(112, vec![]), (104, vec![]), (107, vec![112]), (97, vec![104, 112])]
        {
            let candidates = candidates(&sdpa(head_dim));
            for (index, route) in candidates.iter().enumerate() {
                assert!(named(route.backend).any(|it| it.about().provider != Provider::Cpu));
                assert!(!candidates[..index].contains(route));
            }
            let cudnn = candidates.iter().filter(|route| route.backend == Backend::NsCudnn);
            let pads: Vec<usize> = cudnn.filter_map(|route| route.pad_to).collect();
            assert_eq!(pads, padded, "{head_dim}");
            let flash = Route::of(Backend::NsFlash, &sdpa(head_dim));
            assert!(candidates.contains(&flash));
        }
        let shape = SdpaShape { seq_len: 1, kv_len: Some(4096), ..sdpa(107).shape };
        let decode = candidates(&Sdpa::dense(shape, Backend::NsFastest));
        assert_eq!(decode[0], Route { backend: Backend::NsFlashDecode, pad_to: None });
        assert!(decode.iter().all(|route| route.pad_to.is_none()));
    }
}
