//! Outputs of a draft.

use super::{Draft, Item, Need};
use crate::{
    scene::check::Check,
    state::{
        Error, fixed, not_found,
        op::{CreateOutput, DeleteOutput, PatchOutput},
        output::{OUTPUTS_MAX, Output},
    },
};

impl Draft {
    pub(super) fn create_output(&mut self, CreateOutput { document }: &CreateOutput) -> Result<Item, Error> {
        let output = Output::read(document.clone())?;
        let outputs = &mut self.document.outputs;
        if outputs.iter().any(|other| other.id() == output.id()) {
            return Err(Error::Exists { what: "output", id: output.id().clone() });
        }
        if outputs.len() == OUTPUTS_MAX {
            return Err(Error::TooMany { what: "output", limit: OUTPUTS_MAX });
        }
        outputs.push(output.clone());
        self.renew(output)
    }

    pub(super) fn patch_output(&mut self, PatchOutput { id, patch }: &PatchOutput) -> Result<Item, Error> {
        let outputs = &mut self.document.outputs;
        let output = outputs.iter_mut().find(|output| output.id().as_str() == id);
        let output = output.ok_or_else(|| not_found("output", id))?;
        let patched = output.patched(patch)?;
        if patched.id() != output.id() {
            return Err(fixed("/id", "the id of an output does not change"));
        }
        *output = patched.clone();
        self.renew(patched)
    }

    /// Takes an output away, with a proper end.
    pub(super) fn delete_output(&mut self, DeleteOutput { id }: &DeleteOutput) -> Result<Item, Error> {
        let outputs = &mut self.document.outputs;
        let count = outputs.len();
        outputs.retain(|output| output.id().as_str() != id);
        if outputs.len() == count { Err(not_found("output", id)) } else { Ok(Item::Gone) }
    }

    fn renew(&mut self, output: Output) -> Result<Item, Error> {
        if output.is_enabled() {
            let mut check = Check::default();
            self.document.check_output(&output, &mut check);
            check.finish()?;
            self.need(Need::Output(output.id().clone()));
        }
        self.renewed.push(output.id().clone());
        Ok(Item::Output(output))
    }
}
