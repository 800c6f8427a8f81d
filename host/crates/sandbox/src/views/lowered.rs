//! Views that are copied into the guest's memory straight from the records, as
//! the list parameter of 0.1.0 is: an owned copy of each text would cost more
//! than the rest of the view.
//!
//! Wasmtime demands that what a host function returns owns its parts. So these
//! types own the batch, and borrow from it when they are lowered.

use std::mem::MaybeUninit;

use sluice_types::records::Records;
use wasmtime::component::__internal::{
    CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext,
};
use wasmtime::component::{ComponentType, Lower};

use super::attributes::Attributes;
use crate::bindings::v0_1::LogRecord;
use crate::lower;

/// The view `records`.
pub(super) struct RecordList(pub(super) Records);

/// The view `attributes`.
pub(super) struct AttributeColumns(pub(super) Records);

impl RecordList {
    fn with<T>(&self, lower: impl FnOnce(&[LogRecord<'_>]) -> T) -> T {
        let attributes = lower::attributes(&self.0);
        lower(&lower::records(&self.0, &attributes))
    }
}

impl AttributeColumns {
    fn with<T>(&self, lower: impl FnOnce(&Attributes<'_>) -> T) -> T {
        lower(&Attributes::of(&self.0))
    }
}

/// Implements wasmtime's traits for a type by what its method `with` gives.
macro_rules! lower_as {
    ($view:ty, $wit:ty) => {
        // SAFETY: every item is that of the other type, whose lifetime changes none of
        // them; what is not delegated keeps its conservative default.
        #[expect(unsafe_code, reason = "the traits are unsafe; see the comment above")]
        unsafe impl ComponentType for $view {
            type Lower = <$wit as ComponentType>::Lower;

            const ABI: CanonicalAbiInfo = <$wit as ComponentType>::ABI;

            fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
                <$wit as ComponentType>::typecheck(ty, types)
            }
        }

        // SAFETY: as above.
        #[expect(unsafe_code, reason = "the traits are unsafe; see the comment above")]
        unsafe impl Lower for $view {
            fn linear_lower_to_flat<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                ty: InterfaceType,
                dst: &mut MaybeUninit<Self::Lower>,
            ) -> wasmtime::Result<()> {
                self.with(|view| view.linear_lower_to_flat(cx, ty, dst))
            }

            fn linear_lower_to_memory<T>(
                &self,
                cx: &mut LowerContext<'_, T>,
                ty: InterfaceType,
                offset: usize,
            ) -> wasmtime::Result<()> {
                self.with(|view| view.linear_lower_to_memory(cx, ty, offset))
            }
        }
    };
}

lower_as!(RecordList, [LogRecord<'static>]);
lower_as!(AttributeColumns, Attributes<'static>);
