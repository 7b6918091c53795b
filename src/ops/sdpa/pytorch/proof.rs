//! Which of PyTorch's backends ran, by the names of the kernels in the captured graph.

use crate::device::Kernel;
use crate::ops::sdpa::attention::Chosen;
use crate::workload::{Backend, CaseError};

/// What ran, read off its kernels; an error if another backend was forced. The CPU has no kernels:
/// there PyTorch's word stands.
pub fn proven(mut chosen: Chosen, kernels: &[Kernel]) -> Result<Chosen, CaseError> {
    if kernels.is_empty() {
        return Ok(chosen);
    }
    let names = || kernels.iter().map(|kernel| &*kernel.name).collect::<Vec<_>>().join(", ");
    let ran = backend_of(kernels).ok_or_else(|| {
        CaseError::wrong_result(format!("no attention of PyTorch's is known by {}", names()))
    })?;
    if chosen.asked != Backend::Auto && ran != chosen.asked {
        let (asked, ran, names) = (chosen.asked.name(), ran.name(), names());
        let what = format!("{asked} was asked for, and {ran} ran: {names}");
        return Err(CaseError::wrong_result(what));
    }
    chosen.route.backend = ran;
    // The copies are kernels of others.
    let copies = kernels.iter().any(|kernel| !kernel.name.contains("flash"));
    let is_padded = ran == Backend::Flash && copies;
    chosen.route.pad_to = chosen.route.pad_to.filter(|_| is_padded);
    Ok(chosen)
}

fn backend_of(kernels: &[Kernel]) -> Option<Backend> {
    let any = |part: &str| kernels.iter().any(|kernel| kernel.name.contains(part));
    // cuDNN's kernel is named after flash attention, too.
    if any("cudnn") {
        Some(Backend::Cudnn)
    } else if any("fmha_cutlass") {
        Some(Backend::MemEfficient)
    } else if any("flash") {
        Some(Backend::Flash)
    } else if any("softmax") || any("SoftMax") {
        Some(Backend::Math)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::sdpa::Route;
    use crate::workload::Provider;

    fn prove(asked: Backend, pad_to: Option<usize>, names: &[&str]) -> Result<Chosen, CaseError> {
        let kernel = |name: &&str| Kernel { name: (*name).to_owned(), ..Kernel::default() };
        let kernels: Vec<Kernel> = names.iter().map(kernel).collect();
        let route = Route { backend: Backend::Math, pad_to };
        let (provider, reason) = (Provider::Pytorch, String::new());
        let chosen = Chosen { asked, route, provider, stand_in: false, reason };
        proven(chosen, &kernels)
    }

    const FLASH: &str = "pytorch_flash::flash_fwd_kernel<Flash_fwd_kernel_traits<128, 128, 64>>";
    const CUDNN: &str = "cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16";
    const CUTLASS: &str = "fmha_cutlassF_f16_aligned_64x128_rf_sm80";
    const COPY: &str = "at::native::elementwise_kernel<128, 4>";
    const GEMM: &str = "cutlass_80_simt_sgemm_128x32_8x5_tn_align1";
    const SOFTMAX: &str = "at::native::(anonymous namespace)::cunn_SoftMaxForward<4>";

    #[test]
    fn the_kernels_tell_which_backend_ran() {
        for (names, ran) in [
            (&[CUDNN][..], Backend::Cudnn),
            (&[FLASH], Backend::Flash),
            (&[CUTLASS], Backend::MemEfficient),
            (&[COPY, GEMM, SOFTMAX, GEMM, COPY], Backend::Math),
        ] {
            assert_eq!(prove(Backend::Auto, None, names).unwrap().route.backend, ran);
            assert_eq!(prove(ran, None, names).unwrap().route.backend, ran);
        }
        let padded = prove(Backend::Auto, Some(112), &[COPY, COPY, COPY, FLASH]).unwrap();
        assert_eq!(padded.route, Route { backend: Backend::Flash, pad_to: Some(112) });
        for alone in [&[FLASH][..], &[FLASH, "pytorch_flash::flash_fwd_splitkv_combine_kernel"]] {
            assert_eq!(prove(Backend::Auto, Some(112), alone).unwrap().route.pad_to, None);
        }
    }

    #[test]
    fn another_backend_than_the_forced_one_is_an_error() {
        let error = prove(Backend::Flash, None, &[CUDNN]).unwrap_err();
        assert!(error.message.contains("FLASH was asked for, and CUDNN ran"), "{error}");
        let error = prove(Backend::Auto, None, &[COPY]).unwrap_err();
        assert!(error.message.contains("elementwise_kernel"), "{error}");
    }
}
