//! GEMMs of float32 and of fp8: what PyTorch has to be told beside the operands.

use super::call::Session;
use super::library::{RawTensor, Status};
use super::tensor::{Handle, Memory, Operand, Output};
use crate::device::DeviceError;
use crate::workload::{Element, Precision};
use std::ptr::null_mut;

/// `A, B, scales of A and B, bias, scale of the result, type of the result, fast accumulation`, and
/// the result.
#[rustfmt::skip]
type ScaledMm = unsafe extern "C" fn(
    RawTensor, RawTensor, RawTensor, RawTensor, *mut RawTensor, *mut RawTensor, *const i32, i32,
    *mut RawTensor,
) -> Status;

const SCALED_MM: &str = "aoti_torch_cuda__scaled_mm";

impl Session {
    /// Lets cuBLAS multiply float32 in tf32, or forbids it.
    pub(super) fn allow_tf32(&self, precision: Precision) -> Result<(), DeviceError> {
        let is_allowed = match precision {
            Precision::Tf32 => true,
            Precision::Fp32 => false,
            Precision::Fp16 | Precision::Bf16 | Precision::Fp8E4m3 => return Ok(()),
        };
        match &self.torch().library.tf32 {
            Some(tf32) => {
                // SAFETY: a setter of a flag of PyTorch's one context.
                unsafe { (tf32.allow)((tf32.context)(), is_allowed) };
                Ok(())
            }
            // It is forbidden unless somebody allows it.
            None if !is_allowed => Ok(()),
            None => {
                Err(self.lacks("setAllowTF32CuBLAS, without which it does not multiply in tf32"))
            }
        }
    }

    /// `torch._scaled_mm` of fp8 operands, each with the one number of `scale`, into bfloat16.
    pub fn multiply_scaled(
        &self,
        operands: [(&Operand, Memory); 2],
        (scale, of_scale): (&Operand, Memory),
    ) -> Result<Output, DeviceError> {
        let library = &self.torch().library;
        // SAFETY: as declared in c_shim_cuda.h, the same in 2.6 and 2.11.
        let scaled_mm: Option<ScaledMm> = unsafe { library.function(SCALED_MM) };
        let scaled_mm = scaled_mm.ok_or_else(|| self.lacks(SCALED_MM))?;
        let [a, b] = operands.map(|(operand, memory)| operand.handle(memory).raw());
        let scale = scale.handle(of_scale).raw();
        let ([dtype, ..], mut result) = (self.kind(Element::Bf16)?, null_mut());
        let none = null_mut;
        // SAFETY: all tensors are alive, what is null is optional, and a new one is written.
        let status =
            unsafe { scaled_mm(a, b, scale, scale, none(), none(), &dtype, 0, &mut result) };
        library.check(status, "_scaled_mm")?;
        Ok(self.output_of(Handle::own(library, result), Element::Bf16))
    }

    fn lacks(&self, what: &str) -> DeviceError {
        let version = &self.torch().installation.version;
        DeviceError::unsupported(format!("PyTorch {version} has no {what}"))
    }
}
