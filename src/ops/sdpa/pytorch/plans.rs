//! Calls of PyTorch's attention as plans: over its tensors as they are, and padded by the program.

use crate::device::cuda::Tensor;
use crate::device::torch::{AttentionCall, Choice, Operand, Output, Session, Target};
use crate::device::{DeviceError, DeviceErrorKind};
use crate::ops::pytorch::{Buffer, Kept, OnCuda};
use crate::ops::sdpa::SdpaProblem;
use crate::ops::verify::{self, POISON, Scores};
use crate::ops::{Plan, Verification};
use crate::workload::{CaseError, Sdpa};
use std::rc::Rc;

/// An attention of buffers `B`.
pub struct PytorchSdpa<B> {
    session: Rc<Session>,
    problem: SdpaProblem<B>,
    /// Q, K and V.
    operands: [Operand; 3],
    call: AttentionCall,
    result: Kept,
}

/// What a program does that pads by itself: it keeps buffers whose padding is zero, copies Q, K and
/// V into them, and copies the first columns of the result.
pub struct PytorchSdpaOnTheFly<B> {
    dense: SdpaProblem<B>,
    operands: [Operand; 3],
    padded: PytorchSdpa<B>,
}

impl<B: Buffer> PytorchSdpa<B> {
    /// Over these tensors; `only` is the backend that is forced.
    pub fn new(
        session: &Rc<Session>,
        problem: SdpaProblem<B>,
        only: Option<Choice>,
    ) -> Result<Self, CaseError> {
        let Sdpa { shape, data_head_dim, causal, .. } = problem.sdpa;
        // As PyTorch is called: it scales by the head_dim that it sees, unless it is told.
        let scale = (data_head_dim != shape.head_dim).then(|| f64::from(problem.scale()));
        let grouped = shape.kv_heads() != shape.n_heads;
        let call = AttentionCall { only, causal, grouped, scale };
        let operands = operands(session, &problem)?;
        Ok(PytorchSdpa {
            session: session.clone(),
            problem,
            operands,
            call,
            result: Kept::default(),
        })
    }

    /// Which backend PyTorch takes; unsupported if it takes none, for the reason that is `expected`
    /// or else in its own words.
    pub fn choice(&self, expected: Option<String>) -> Result<Choice, CaseError> {
        let SdpaProblem { q, k, v, .. } = &self.problem;
        let [q, k, v] =
            [(0, q), (1, k), (2, v)].map(|(i, buffer)| (&self.operands[i], buffer.memory()));
        self.session.choice([q, k, v], &self.call, expected.is_some()).map_err(|error| match error
            .kind
        {
            DeviceErrorKind::OutOfMemory => error.into(),
            _ => CaseError::unsupported(expected.unwrap_or(error.message)),
        })
    }

    /// Launches until PyTorch allocates no more: a launch that is captured must not.
    pub fn warmed_up(mut self) -> Result<Self, CaseError> {
        self.attend()?;
        self.attend()?;
        Ok(self)
    }

    fn attend(&mut self) -> Result<(), CaseError> {
        let PytorchSdpa { session, problem, operands, call, result } = self;
        result.launch(|| attend(session, problem, operands, call))
    }

    /// The result of a launch, in O.
    fn attend_into_o(&mut self) -> Result<(), CaseError> {
        let PytorchSdpa { session, problem, operands, call, result } = self;
        result.launch_poisoned(|| attend(session, problem, operands, call))?;
        result.copy_to(session, o_of(problem))
    }
}

impl<B: Buffer> PytorchSdpaOnTheFly<B> {
    /// Around a plan over larger tensors, with data of its own.
    pub fn new(dense: SdpaProblem<B>, padded: PytorchSdpa<B>) -> Result<Self, CaseError> {
        let operands = operands(&padded.session, &dense)?;
        let mut plan = PytorchSdpaOnTheFly { dense, operands, padded };
        plan.attend(false)?;
        plan.attend(false)?;
        Ok(plan)
    }

    fn attend(&mut self, is_poisoned: bool) -> Result<(), CaseError> {
        let PytorchSdpaOnTheFly { dense, operands, padded } = self;
        let (dtype, row_stride) = (dense.dtype, padded.problem.sdpa.shape.head_dim);
        let sizes = sizes(&dense.sdpa);
        let SdpaProblem { q, k, v, .. } = &mut padded.problem;
        let tensors = [(&dense.q, q), (&dense.k, k), (&dense.v, v)];
        for (((from, to), operand), sizes) in tensors.into_iter().zip(&*operands).zip(sizes) {
            let sizes = sizes.to_vec();
            let to = Target { memory: to.memory_mut(), dtype: dtype.into(), sizes, row_stride };
            padded.session.copy((operand, from.memory()), to)?;
        }
        match is_poisoned {
            false => padded.attend()?,
            true => padded.attend_into_o()?,
        }
        padded.result.copy_to(&padded.session, o_of(dense))
    }
}

fn operands<B: Buffer>(
    session: &Session,
    problem: &SdpaProblem<B>,
) -> Result<[Operand; 3], DeviceError> {
    let [q, k, v] = sizes(&problem.sdpa);
    let operand = |buffer: &B, sizes: [usize; 4]| {
        session.operand(buffer.memory(), problem.dtype, &sizes, sizes[3])
    };
    Ok([operand(&problem.q, q)?, operand(&problem.k, k)?, operand(&problem.v, v)?])
}

/// Of Q, K and V.
fn sizes(sdpa: &Sdpa) -> [[usize; 4]; 3] {
    let shape = sdpa.shape;
    let q = [shape.batch, shape.n_heads, shape.seq_len, shape.head_dim];
    let kv = [shape.batch, shape.kv_heads(), shape.kv_len(), shape.head_dim];
    [q, kv, kv]
}

fn attend<B: Buffer>(
    session: &Session,
    SdpaProblem { q, k, v, .. }: &SdpaProblem<B>,
    operands: &[Operand; 3],
    call: &AttentionCall,
) -> Result<Output, DeviceError> {
    let [for_q, for_k, for_v] = operands;
    session.attention([(for_q, q.memory()), (for_k, k.memory()), (for_v, v.memory())], call)
}

/// Where the result is copied to.
fn o_of<B: Buffer>(problem: &mut SdpaProblem<B>) -> Target<'_> {
    let ([sizes, ..], dtype) = (sizes(&problem.sdpa), problem.dtype);
    let (sizes, row_stride) = (sizes.to_vec(), sizes[3]);
    Target { memory: problem.o.memory_mut(), dtype: dtype.into(), sizes, row_stride }
}

impl Plan for PytorchSdpa<Vec<u16>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.attend()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.problem.o.fill(POISON);
        self.attend_into_o()?;
        verify::host::sdpa(&self.problem, Scores::Float32)
    }
}

impl Plan for PytorchSdpaOnTheFly<Vec<u16>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.attend(false)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        self.dense.o.fill(POISON);
        self.attend(true)?;
        verify::host::sdpa(&self.dense, Scores::Float32)
    }
}

impl Plan for OnCuda<PytorchSdpa<Tensor>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.attend()
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.plan.problem.o)?;
        self.plan.attend_into_o()?;
        verify::cuda::sdpa(&self.cuda, &self.plan.problem, Scores::Float32)
    }
}

impl Plan for OnCuda<PytorchSdpaOnTheFly<Tensor>> {
    fn launch(&mut self) -> Result<(), CaseError> {
        self.plan.attend(false)
    }

    fn verify(&mut self) -> Result<Verification, CaseError> {
        verify::cuda::poison(&self.cuda, &mut self.plan.dense.o)?;
        self.plan.attend(true)?;
        verify::cuda::sdpa(&self.cuda, &self.plan.dense, Scores::Float32)
    }
}
