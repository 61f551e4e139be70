//! What a shader's intermediate code may contain, what it costs, and the counter that its loops are given.
//!
//! Everything is a list of what is allowed: what naga learns to read tomorrow is refused until it is looked at. The user's
//! functions, types and variables are told from ours by where they stand in the text.

use std::collections::HashMap;

use naga::{
    AddressSpace, Block, Expression, Function, GlobalVariable, Handle, Literal, LocalVariable, MathFunction, Module,
    Range, Scalar, Span, Statement, Type, TypeInner, VectorSize,
    proc::{Layouter, TypeResolution},
    valid::{FunctionInfo, ModuleInfo},
};

use super::{COST_MAX, Code, at};

/// Most functions.
const FUNCTIONS_MAX: usize = 64;
/// Most types, those of WGSL that are used included.
const TYPES_MAX: usize = 96;
/// Most bytes of one value.
const TYPE_BYTES_MAX: u32 = 512;
/// Most bytes of the user's variables: a pixel keeps them in registers, thousands of pixels at a time, and lavapipe takes
/// ten seconds to compile one index into an array of 4096 bytes.
const VARIABLE_BYTES_MAX: u32 = 1024;
/// What a transcendental function costs for each number.
const MATH_COST: u32 = 8;
/// What an index that is not a constant costs for each number of what it looks into.
const INDEX_COST: u32 = 8;
/// What reading a picture costs.
const SAMPLE_COST: u32 = 64;

/// A parsed module, and which part of it is the user's.
pub(super) struct Scope<'a> {
    code: &'a Code,
    module: &'a Module,
    layouter: Layouter,
}

impl<'a> Scope<'a> {
    /// Refuses what is not allowed.
    pub(super) fn new(code: &'a Code, module: &'a Module) -> Result<Self, String> {
        let mut layouter = Layouter::default();
        layouter.update(module.to_ctx()).map_err(|error| error.to_string())?;
        let scope = Self { code, module, layouter };
        scope.check_types()?;
        scope.check_globals()?;
        scope.check_functions()?;
        Ok(scope)
    }

    fn wrong(&self, span: Span, message: &str) -> String {
        let start = span.to_range().map(|range| range.start).filter(|&start| start < self.code.source.len());
        start.map_or_else(|| message.to_owned(), |start| at(&self.code.source, start, message))
    }

    fn check_types(&self) -> Result<(), String> {
        let types = &self.module.types;
        if types.len() > TYPES_MAX {
            return Err(format!("{} types are too many: {TYPES_MAX} at most", types.len()));
        }
        for (handle, _) in types.iter() {
            let (span, bytes) = (types.get_span(handle), self.layouter[handle].size);
            if bytes > TYPE_BYTES_MAX {
                let message = format!("a value of {bytes} bytes is too large: {TYPE_BYTES_MAX} at most");
                return Err(self.wrong(span, &message));
            }
        }
        Ok(())
    }

    fn check_globals(&self) -> Result<(), String> {
        let (globals, overrides) = (&self.module.global_variables, &self.module.overrides);
        let users = |span: &Span| is_users(*span, self.code.source.len());
        if let Some(span) = overrides.iter().map(|(handle, _)| overrides.get_span(handle)).find(users) {
            return Err(self.wrong(span, "`override` is not allowed: use `const`, or `params`"));
        }
        for (handle, global) in globals.iter().filter(|&(handle, _)| users(&globals.get_span(handle))) {
            if global.space != AddressSpace::Private {
                return Err(self.wrong(globals.get_span(handle), "only `var<private>` is allowed out of functions"));
            }
        }
        let own = globals.iter().filter(|&(handle, _)| users(&globals.get_span(handle)));
        let bytes = own.map(|(_, global)| self.bytes_of(global.ty)).fold(0, u32::saturating_add);
        let locals =
            |function: &Function| function.local_variables.iter().map(|(_, local)| self.bytes_of(local.ty)).sum();
        let bytes = self.users().map(|(_, function)| locals(function)).fold(bytes, u32::saturating_add);
        if bytes > VARIABLE_BYTES_MAX {
            return Err(format!("variables of {bytes} bytes are too large: {VARIABLE_BYTES_MAX} at most"));
        }
        Ok(())
    }

    /// Bytes of a variable's type.
    fn bytes_of(&self, ty: Handle<Type>) -> u32 {
        self.layouter[ty].size
    }

    /// The user's functions.
    fn users(&self) -> impl Iterator<Item = (Handle<Function>, &Function)> {
        let functions = &self.module.functions;
        functions.iter().filter(|&(handle, _)| is_users(functions.get_span(handle), self.code.source.len()))
    }

    fn check_functions(&self) -> Result<(), String> {
        let count = self.users().count();
        if count > FUNCTIONS_MAX {
            return Err(format!("{count} functions are too many: {FUNCTIONS_MAX} at most"));
        }
        for (handle, function) in self.users() {
            if function.name.as_deref() == Some("shade") && !self.is_shade(function) {
                let message = "it must be `fn shade(in: ShadeInput) -> vec4f`";
                return Err(self.wrong(self.module.functions.get_span(handle), message));
            }
            for (handle, expression) in function.expressions.iter() {
                self.check_expression(expression).map_err(|m| self.wrong(function.expressions.get_span(handle), &m))?;
            }
            self.check_block(&function.body)?;
        }
        Ok(())
    }

    fn is_shade(&self, function: &Function) -> bool {
        let types = &self.module.types;
        let colour = TypeInner::Vector { size: VectorSize::Quad, scalar: Scalar::F32 };
        let is_input = |ty| types[ty].name.as_deref() == Some("ShadeInput");
        let returns = function.result.as_ref().map(|result| &types[result.ty].inner);
        matches!(&function.arguments[..], [input] if is_input(input.ty)) && returns == Some(&colour)
    }

    fn check_expression(&self, expression: &Expression) -> Result<(), String> {
        use Expression as E;
        match expression {
            E::GlobalVariable(global) => self.check_global(*global),
            E::Derivative { .. } => Err("derivatives (`dpdx`, `fwidth`) are not allowed: use `in.size`".into()),
            E::Literal(_)
            | E::Constant(_)
            | E::ZeroValue(_)
            | E::Compose { .. }
            | E::Access { .. }
            | E::AccessIndex { .. }
            | E::Splat { .. }
            | E::Swizzle { .. }
            | E::FunctionArgument(_)
            | E::LocalVariable(_)
            | E::Load { .. }
            | E::Unary { .. }
            | E::Binary { .. }
            | E::Select { .. }
            | E::Relational { .. }
            | E::Math { .. }
            | E::As { .. }
            | E::CallResult(_) => Ok(()),
            _ => Err("this is not allowed in a shader of yours".into()),
        }
    }

    fn check_global(&self, handle: Handle<GlobalVariable>) -> Result<(), String> {
        let globals = &self.module.global_variables;
        let name = globals[handle].name.as_deref().unwrap_or_default();
        if is_users(globals.get_span(handle), self.code.source.len()) || name == "params" {
            return Ok(());
        }
        Err(format!("no definition in scope for identifier: `{name}`"))
    }

    fn check_block(&self, block: &Block) -> Result<(), String> {
        for (statement, &span) in block.span_iter() {
            self.check_statement(statement).map_err(|message| self.wrong(span, &message))?;
            for inner in blocks_of(statement) {
                self.check_block(inner)?;
            }
        }
        Ok(())
    }

    fn check_statement(&self, statement: &Statement) -> Result<(), String> {
        use Statement as S;
        match statement {
            S::Call { function, .. } => self.check_call(*function),
            S::Emit(_)
            | S::Block(_)
            | S::If { .. }
            | S::Switch { .. }
            | S::Loop { .. }
            | S::Break
            | S::Continue
            | S::Return { .. }
            | S::Store { .. } => Ok(()),
            S::Kill => Err("`discard` is not allowed: return `vec4f(0.0)`".into()),
            S::ControlBarrier(_) | S::MemoryBarrier(_) => Err("barriers are not allowed".into()),
            S::Atomic { .. } | S::ImageAtomic { .. } => Err("atomics are not allowed".into()),
            _ => Err("this is not allowed in a shader of yours".into()),
        }
    }

    fn check_call(&self, handle: Handle<Function>) -> Result<(), String> {
        let functions = &self.module.functions;
        let name = functions[handle].name.as_deref().unwrap_or_default();
        let allowed = self.code.role.functions();
        if is_users(functions.get_span(handle), self.code.source.len()) || allowed.contains(&name) {
            return Ok(());
        }
        let others = if allowed.is_empty() { "nothing to call".into() } else { format!("`{}`", allowed.join("`, `")) };
        Err(format!("`{name}` cannot be called here; beside WGSL's own functions there is {others}"))
    }

    /// Operations on one number of the program with all calls written out, each loop once.
    pub(super) fn cost(&self, info: &ModuleInfo) -> Result<u32, String> {
        let mut costs = HashMap::new();
        // A function stands after those that it calls.
        for (handle, function) in self.module.functions.iter() {
            let cost = self.cost_of(function, &info[handle], &costs);
            costs.insert(handle, cost);
        }
        let paint = self
            .module
            .entry_points
            .iter()
            .enumerate()
            .map(|(i, entry)| self.cost_of(&entry.function, info.get_entry_point(i), &costs));
        let cost = paint.max().unwrap_or(0);
        if cost > COST_MAX {
            return Err(format!("{cost} operations a pixel, calls written out, are too many: {COST_MAX} at most"));
        }
        Ok(cost)
    }

    fn cost_of(&self, function: &Function, info: &FunctionInfo, costs: &HashMap<Handle<Function>, u32>) -> u32 {
        let expressions = function.expressions.iter().map(|(handle, expression)| {
            let (each, of) = match expression {
                Expression::Math { fun, .. } if !is_plain(*fun) => (MATH_COST, handle),
                Expression::ImageSample { .. } => (SAMPLE_COST, handle),
                Expression::Access { base, .. } => (INDEX_COST, *base),
                _ => (1, handle),
            };
            let ty = &info[of].ty;
            each * if of == handle { self.numbers_of(ty) } else { self.numbers_within(ty) }
        });
        let locals = function.local_variables.iter().map(|(_, local): (_, &LocalVariable)| self.bytes_of(local.ty) / 4);
        let own = expressions.chain(locals).fold(0, u32::saturating_add);
        own.saturating_add(cost_of_block(&function.body, costs))
    }

    /// Numbers that a value has; an address counts as one.
    fn numbers_of(&self, ty: &TypeResolution) -> u32 {
        let inner = ty.inner_with(&self.module.types);
        let bytes = match ty {
            TypeResolution::Handle(handle) => self.layouter[*handle].size,
            TypeResolution::Value(_) => inner.size(self.module.to_ctx()),
        };
        if matches!(inner, TypeInner::Pointer { .. } | TypeInner::ValuePointer { .. }) { 1 } else { (bytes / 4).max(1) }
    }

    /// Numbers that an index looks into: those of a value, or of what an address leads to.
    fn numbers_within(&self, ty: &TypeResolution) -> u32 {
        match *ty.inner_with(&self.module.types) {
            TypeInner::Pointer { base, .. } => (self.layouter[base].size / 4).max(1),
            _ => self.numbers_of(ty),
        }
    }

    /// Whether some function reads `time` of a `ShadeInput`.
    pub(super) fn uses_time(&self, info: &ModuleInfo) -> bool {
        let types = &self.module.types;
        let input = types.iter().find(|(_, ty)| ty.name.as_deref() == Some("ShadeInput"));
        let Some((input, Type { inner: TypeInner::Struct { members, .. }, .. })) = input else { return true };
        let time = members.iter().position(|member| member.name.as_deref() == Some("time"));
        let is_input = |ty: &TypeResolution| match ty {
            TypeResolution::Handle(handle) => match types[*handle].inner {
                TypeInner::Pointer { base, .. } => base == input,
                _ => *handle == input,
            },
            TypeResolution::Value(TypeInner::Pointer { base, .. }) => *base == input,
            TypeResolution::Value(_) => false,
        };
        self.users().any(|(handle, function)| {
            function.expressions.iter().any(|(_, expression)| {
                let Expression::AccessIndex { base, index } = expression else { return false };
                Some(*index as usize) == time && is_input(&info[handle][*base].ty)
            })
        })
    }
}

fn is_users(span: Span, len: usize) -> bool {
    span.to_range().is_some_and(|range| range.start < len)
}

/// Functions that are an instruction or two.
fn is_plain(fun: MathFunction) -> bool {
    use MathFunction as M;
    matches!(
        fun,
        M::Abs | M::Min | M::Max | M::Clamp | M::Saturate | M::Floor | M::Ceil | M::Fract | M::Fma | M::Mix | M::Step
    )
}

fn blocks_of(statement: &Statement) -> Vec<&Block> {
    match statement {
        Statement::Block(block) => vec![block],
        Statement::If { accept, reject, .. } => vec![accept, reject],
        Statement::Switch { cases, .. } => cases.iter().map(|case| &case.body).collect(),
        Statement::Loop { body, continuing, .. } => vec![body, continuing],
        _ => Vec::new(),
    }
}

fn cost_of_block(block: &Block, costs: &HashMap<Handle<Function>, u32>) -> u32 {
    let cost = |statement: &Statement| match statement {
        Statement::Call { function, .. } => costs.get(function).copied().unwrap_or(u32::MAX),
        other => blocks_of(other).into_iter().map(|block| cost_of_block(block, costs)).fold(1, u32::saturating_add),
    };
    block.iter().map(cost).fold(0, u32::saturating_add)
}

/// Gives every loop of the first `len` bytes of the text the counter `fuel`:
///
/// ```wgsl
/// loop {
///     if fuel == 0u { break; }
///     fuel = fuel - 1u;
///     ...
/// ```
pub(super) fn meter(module: &mut Module, len: usize) {
    let fuel = module.global_variables.iter().find(|(_, global)| global.name.as_deref() == Some("fuel"));
    let Some((fuel, _)) = fuel else { unreachable!("user.wgsl declares it") };
    let users: Vec<_> = module.functions.iter().map(|(handle, _)| handle).collect();
    for handle in users {
        if is_users(module.functions.get_span(handle), len) {
            meter_function(module.functions.get_mut(handle), fuel);
        }
    }
}

fn meter_function(function: &mut Function, fuel: Handle<GlobalVariable>) {
    let mut body = std::mem::take(&mut function.body);
    let mut meter = Meter { function, fuel };
    meter.block(&mut body);
    function.body = body;
}

struct Meter<'a> {
    function: &'a mut Function,
    fuel: Handle<GlobalVariable>,
}

impl Meter<'_> {
    fn block(&mut self, block: &mut Block) {
        for statement in block.iter_mut() {
            match statement {
                Statement::Block(inner) => self.block(inner),
                Statement::If { accept, reject, .. } => {
                    self.block(accept);
                    self.block(reject);
                }
                Statement::Switch { cases, .. } => cases.iter_mut().for_each(|case| self.block(&mut case.body)),
                Statement::Loop { body, continuing, .. } => {
                    self.block(body);
                    self.block(continuing);
                    body.splice(0..0, self.count());
                }
                _ => {}
            }
        }
    }

    /// Leaves the loop when nothing is left, else takes one.
    fn count(&mut self) -> Block {
        let mut add = |expression| self.function.expressions.append(expression, Span::UNDEFINED);
        let pointer = add(Expression::GlobalVariable(self.fuel));
        let [zero, one] = [0, 1].map(|n| add(Expression::Literal(Literal::U32(n))));
        let left = add(Expression::Load { pointer });
        let binary = |op, right| Expression::Binary { op, left, right };
        let is_spent = add(binary(naga::BinaryOperator::Equal, zero));
        let rest = add(binary(naga::BinaryOperator::Subtract, one));
        Block::from_vec(vec![
            Statement::Emit(Range::new_from_bounds(left, rest)),
            Statement::If {
                condition: is_spent,
                accept: Block::from_vec(vec![Statement::Break]),
                reject: Block::new(),
            },
            Statement::Store { pointer, value: rest },
        ])
    }
}
