//! Backend descriptors, made of attributes and of each other.

use super::library::{ElementType, RawDescriptor, RawHandle};
use super::{
    Attribute, Cudnn, CudnnError, DataType, HeuristicMode, Kind, Library, PointwiseMode, Reduction,
};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::rc::Rc;

/// A descriptor ready for use, shared by its clones.
#[derive(Clone)]
pub struct Descriptor(Rc<Owned>);

/// A descriptor that takes attributes.
pub struct Draft(Owned);

struct Owned {
    library: &'static Library,
    raw: RawDescriptor,
    kind: Kind,
    parts: Vec<Descriptor>,
    handle: Option<Rc<Cudnn>>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours alone. Its parts and its handle go after it.
        unsafe { (self.library.backend_destroy)(self.raw) };
    }
}

impl Cudnn {
    /// Enqueues `plan` on the handle's stream, with the addresses in `variant_pack`.
    ///
    /// # Safety
    /// The addresses hold tensors as large as the plan's, and the workspace, until the stream has
    /// passed the launch; those of by-value tensors are host addresses.
    pub(super) unsafe fn execute(
        &self,
        plan: &Descriptor,
        variant_pack: &Descriptor,
    ) -> Result<(), CudnnError> {
        // SAFETY: the three are alive, the addresses as the caller promises.
        let status =
            unsafe { (self.library.backend_execute)(self.raw, plan.raw(), variant_pack.raw()) };
        self.library.check(status, || "execute".to_owned())
    }
}

impl Draft {
    /// A descriptor of `kind` without attributes.
    pub fn new(library: &'static Library, kind: Kind) -> Result<Self, CudnnError> {
        let mut raw = null_mut();
        // SAFETY: `raw` is where the new descriptor goes.
        let status = unsafe { (library.backend_create)(kind, &mut raw) };
        library.check(status, || format!("create {kind:?}"))?;
        Ok(Draft(Owned { library, raw, kind, parts: vec![], handle: None }))
    }

    /// Sets `attribute` to `elements`.
    pub fn set<T: Element>(self, attribute: Attribute, elements: &[T]) -> Result<Self, CudnnError> {
        let Owned { library, raw, kind, .. } = self.0;
        // SAFETY: cuDNN copies that many elements of that type.
        let status = unsafe {
            let (len, at) = (elements.len() as i64, elements.as_ptr().cast());
            (library.backend_set)(raw, attribute, T::TYPE, len, at)
        };
        library.check(status, || format!("{attribute:?} of {kind:?}"))?;
        Ok(self)
    }

    /// Sets `attribute` to `parts`, and keeps them.
    pub fn set_parts(self, attribute: Attribute, parts: &[Descriptor]) -> Result<Self, CudnnError> {
        let raw: Vec<_> = parts.iter().map(|part| PartPointer(part.0.raw)).collect();
        let mut draft = self.set(attribute, &raw)?;
        draft.0.parts.extend_from_slice(parts);
        Ok(draft)
    }

    /// Sets `attribute` to one part, and keeps it.
    pub fn set_part(self, attribute: Attribute, part: &Descriptor) -> Result<Self, CudnnError> {
        self.set_parts(attribute, std::slice::from_ref(part))
    }

    /// Sets `attribute` to a handle, and keeps it.
    pub fn set_handle(self, attribute: Attribute, cudnn: &Rc<Cudnn>) -> Result<Self, CudnnError> {
        let mut draft = self.set(attribute, &[HandlePointer(cudnn.raw)])?;
        draft.0.handle = Some(cudnn.clone());
        Ok(draft)
    }

    /// Lets cuDNN check the attributes as a whole. For an execution plan this compiles its kernels.
    pub fn finalize(self) -> Result<Descriptor, CudnnError> {
        let Owned { library, raw, kind, .. } = self.0;
        // SAFETY: the descriptor is alive.
        let status = unsafe { (library.backend_finalize)(raw) };
        library.check(status, || format!("finalize {kind:?}"))?;
        Ok(Descriptor(Rc::new(self.0)))
    }
}

impl Descriptor {
    pub(super) fn raw(&self) -> RawDescriptor {
        self.0.raw
    }

    /// The number that `attribute` holds.
    pub fn get_i64(&self, attribute: Attribute) -> Result<i64, CudnnError> {
        let mut value = [0i64];
        self.get(attribute, &mut value)?;
        Ok(value[0])
    }

    /// The descriptor that `attribute` holds, which keeps `self` alive.
    pub fn get_part(&self, attribute: Attribute, kind: Kind) -> Result<Descriptor, CudnnError> {
        let draft = Draft::new(self.0.library, kind)?;
        self.get(attribute, &mut [PartPointer(draft.0.raw)])?;
        Ok(self.owning(draft))
    }

    /// The descriptors that `attribute` holds, each of which keeps `self` alive. May be none.
    pub fn get_parts(
        &self,
        attribute: Attribute,
        kind: Kind,
    ) -> Result<Vec<Descriptor>, CudnnError> {
        // cuDNN fills descriptors that the caller has made. It may announce more than it then
        // fills: only the second answer counts.
        let announced = self.get::<PartPointer>(attribute, &mut [])?;
        if announced == 0 {
            return Ok(vec![]);
        }
        let drafts: Vec<Draft> =
            (0..announced).map(|_| Draft::new(self.0.library, kind)).collect::<Result<_, _>>()?;
        let mut raw: Vec<_> = drafts.iter().map(|draft| PartPointer(draft.0.raw)).collect();
        let filled = self.get(attribute, &mut raw)?;
        Ok(drafts.into_iter().take(filled).map(|draft| self.owning(draft)).collect())
    }

    /// The drafts that cuDNN fills itself need no finalizing.
    fn owning(&self, Draft(mut owned): Draft) -> Descriptor {
        owned.parts.push(self.clone());
        Descriptor(Rc::new(owned))
    }

    /// Fills `elements`, and returns how many there are.
    fn get<T: Element>(
        &self,
        attribute: Attribute,
        elements: &mut [T],
    ) -> Result<usize, CudnnError> {
        let Owned { library, raw, kind, .. } = *self.0;
        let mut count = 0;
        let target = if elements.is_empty() { null_mut() } else { elements.as_mut_ptr().cast() };
        // SAFETY: cuDNN writes elements of that type, at most as many as there is room for.
        let status = unsafe {
            let room = elements.len() as i64;
            (library.backend_get)(raw, attribute, T::TYPE, room, &mut count, target)
        };
        library.check(status, || format!("{attribute:?} of {kind:?}"))?;
        Ok(count as usize)
    }
}

/// What an attribute can be made of.
///
/// # Safety
/// `TYPE` has to name the layout of the implementing type.
pub unsafe trait Element: Copy {
    /// cuDNN's name for the type.
    const TYPE: ElementType;
}

#[derive(Clone, Copy)]
#[repr(transparent)]
struct PartPointer(RawDescriptor);

#[derive(Clone, Copy)]
#[repr(transparent)]
struct HandlePointer(RawHandle);

macro_rules! elements {
    ($($type:ty => $name:ident),* $(,)?) => { $(
        // SAFETY: cudnn_backend.h defines the type so.
        unsafe impl Element for $type {
            const TYPE: ElementType = ElementType::$name;
        }
    )* };
}

elements! {
    bool => CUDNN_TYPE_BOOLEAN,
    u8 => CUDNN_TYPE_CHAR,
    i64 => CUDNN_TYPE_INT64,
    f32 => CUDNN_TYPE_FLOAT,
    *mut c_void => CUDNN_TYPE_VOID_PTR,
    HandlePointer => CUDNN_TYPE_HANDLE,
    PartPointer => CUDNN_TYPE_BACKEND_DESCRIPTOR,
    DataType => CUDNN_TYPE_DATA_TYPE,
    HeuristicMode => CUDNN_TYPE_HEUR_MODE,
    PointwiseMode => CUDNN_TYPE_POINTWISE_MODE,
    Reduction => CUDNN_TYPE_REDUCTION_OPERATOR_TYPE,
}
