//! What is refused with which words, what is bounded how, and that no text brings the compiler down.

use proptest::prelude::*;

use super::*;

fn code(role: Role, source: &str) -> Code {
    let params = vec![("speed".to_owned(), ParamType::Number), ("tint".to_owned(), ParamType::Colour)];
    Code { role, source: source.into(), params }
}

fn shade(body: &str) -> String {
    format!("fn shade(in: ShadeInput) -> vec4f {{ {body} }}")
}

fn program(source: &str) -> Arc<Program> {
    compile(code(Role::Content, source)).unwrap_or_else(|message| panic!("{source}\n{message}"))
}

#[track_caller]
fn refused(source: &str) -> String {
    compile(code(Role::Content, source)).expect_err(source)
}

#[test]
fn what_is_given_is_there() {
    for role in Role::ALL {
        let read = match role {
            Role::Content => "vec4f(0.0)",
            Role::Effect => "sample(in.uv)",
            Role::Transition => "mix(sample_from(in.uv), sample_to(in.uv), in.progress)",
        };
        let text = shade(&format!(
            "return {read} + params.tint * params.speed * sin(in.time) + vec4f(in.position / in.size, 0.0, 1.0);"
        ));
        compile(code(role, &text)).unwrap();
    }
}

#[test]
fn time_is_known_to_be_used() {
    assert!(!program(&shade("return vec4f(in.uv, 0.0, 1.0);")).uses_time());
    assert!(program(&shade("return vec4f(in.time);")).uses_time());
    assert!(
        program(&format!("fn f(i: ShadeInput) -> f32 {{ return i.time; }} {}", shade("return vec4f(f(in));")))
            .uses_time()
    );
    assert!(program(&shade("var i = in; let p = &i; return vec4f((*p).time);")).uses_time());
}

#[test]
fn every_refusal_names_its_place() {
    let below = |head: &str| format!("{head}\n{}", shade("return vec4f(0.0);"));
    for (source, message) in [
        (shade("return vec4f(nothing);"), "line 1, column 50: no definition in scope for identifier: `nothing`"),
        (format!("\n\n{}", shade("let a = ;")), "line 3, column 45: expected expression, found \";\""),
        (below("fn f() {"), "a `{` is not closed"),
        (below("}"), "line 1, column 1: this `}` closes nothing"),
        (below("/* a"), "line 1, column 1: this comment is not closed by `*/`"),
        (below("// \u{2028}"), "line 1, column 1: the character U+2028 is not allowed"),
        (String::new(), "there is no `fn shade(in: ShadeInput) -> vec4f`"),
        (
            "fn shade() -> vec4f { return vec4f(); }".into(),
            "line 1, column 1: it must be `fn shade(in: ShadeInput) -> vec4f`",
        ),
        (
            below("@group(0) @binding(0) var<uniform> a: f32;"),
            "line 1, column 1: attributes are not allowed: bindings and entry points are made for you",
        ),
        (below("var<workgroup> a: f32;"), "line 1, column 1: only `var<private>` is allowed out of functions"),
        (below("override a: f32 = 1.0;"), "line 1, column 1: `override` is not allowed: use `const`, or `params`"),
        (below("fn paint() {}"), "line 1, column 4: `paint` has a meaning already; choose another name"),
        (below("fn clamp() {}"), "line 1, column 4: `clamp` has a meaning already; choose another name"),
        (below("var<private> params: f32;"), "line 1, column 14: `params` has a meaning already; choose another name"),
        (shade("return vec4f(item.opacity);"), "line 1, column 50: no definition in scope for identifier: `item`"),
        (shade("fuel = 9u; return vec4f();"), "line 1, column 37: no definition in scope for identifier: `fuel`"),
        (
            shade("return sample(in.uv);"),
            "line 1, column 44: `sample` cannot be called here; beside WGSL's own functions there is nothing to call",
        ),
        (
            shade("return dpdx(in.uv).xxxx;"),
            "line 1, column 44: derivatives (`dpdx`, `fwidth`) are not allowed: use `in.size`",
        ),
        (shade("discard; return vec4f();"), "line 1, column 37: `discard` is not allowed: return `vec4f(0.0)`"),
        (shade("workgroupBarrier(); return vec4f();"), "line 1, column 37: barriers are not allowed"),
        (shade("var a: array<vec4f, 100>; return a[0];"), "a value of 1600 bytes is too large: 512 at most"),
        (shade("return vec4f(1.0 / 0.0);"), "line 1, column 50: Divide operation overflowed"),
    ] {
        let found = refused(&source);
        assert!(found.starts_with(message), "{source}\nfound:    {found}\nexpected: {message}");
    }
}

#[test]
fn recursion_is_refused() {
    let message = refused(&format!("fn f(a: f32) -> f32 {{ return f(a); }}\n{}", shade("return vec4f(f(1.0));")));
    assert!(message.contains("recursive") || message.contains("cyclic"), "{message}");
}

#[test]
fn what_would_nest_too_deeply_is_refused() {
    let chain = |operator: &str, n: usize| shade(&format!("return vec4f({});", vec!["in.time"; n].join(operator)));
    assert!(refused(&chain("+", 700)).contains("more than 512 operators in one statement; split it"));
    program(&chain("+", 250));
    for text in [
        shade(&format!("return vec4f({}1.0{});", "(".repeat(2000), ")".repeat(2000))),
        shade(&format!("return vec4f({}1.0);", "-".repeat(2000))),
        shade(&format!("return vec4f({}true);", "!".repeat(500))),
        shade(&format!("{}{} return vec4f();", "{".repeat(3000), "}".repeat(3000))),
        shade(&format!("{} return vec4f();", "if in.time > 0.0 {} else ".repeat(600) + "{}")),
        shade(&format!("return vec4f(in.uv{}, 1.0);", ".xy".repeat(4000))),
        shade(&format!("var a: {}f32{}; return vec4f();", "array<".repeat(2000), ",2>".repeat(2000))),
    ] {
        let message = refused(&text);
        assert!(message.len() < 1000, "{message}");
    }
    program(&shade(&format!("{} return vec4f();", "if in.time > 0.0 {} else ".repeat(100) + "{}")));
}

#[test]
fn what_is_too_large_is_refused() {
    let doubled: String =
        (1..40).map(|i| format!("fn g{i}(a: f32) -> f32 {{ return g{0}(a) + g{0}(a); }}\n", i - 1)).collect();
    let message = refused(&format!(
        "fn g0(a: f32) -> f32 {{ return a * a; }}\n{doubled}{}",
        shade("return vec4f(g39(in.time));")
    ));
    assert!(message.contains("operations a pixel, calls written out, are too many: 8192 at most"), "{message}");
    let unrolled = shade(&format!("var c = in.time; {} return vec4f(c);", "c=sin(c);".repeat(650)));
    assert!(program(&unrolled).cost() > 7000);
    let arrays = "var<private> a: array<f32, 128>; var<private> b: array<f32, 128>; var<private> c: f32;";
    assert!(
        refused(&format!("{arrays}{}", shade("return vec4f();")))
            .contains("variables of 1028 bytes are too large: 1024 at most")
    );
    let many: String = (0..64).map(|i| format!("fn g{i}() {{}}\n")).collect();
    assert_eq!(refused(&format!("{many}{}", shade("return vec4f();"))), "65 functions are too many: 64 at most");
    assert_eq!(refused(&" ".repeat(SOURCE_LEN_MAX + 1)), "16385 bytes are out of range: 1 to 16384");
    let doubled: String = (1..30).map(|i| format!("const a{i} = array(a{0}, a{0});\n", i - 1)).collect();
    let message = refused(&format!("const a0 = array(0.0, 1.0);\n{doubled}{}", shade("return vec4f();")));
    assert!(message.contains("is too large, or made of one of the same name"), "{message}");
    let structs: String = (1..30).map(|i| format!("struct S{i} {{ a: S{0}, b: S{0} }}\n", i - 1)).collect();
    let text = format!("struct S0 {{ a: f32 }}\n{structs}{}", shade("let a = S29() == S29(); return vec4f();"));
    assert!(refused(&text).contains("is too large, or made of one of the same name"));
    let shadowed =
        format!("let a = array(0.0, 1.0); {}{} return vec4f();", "{ let a = array(a, a); ".repeat(30), "}".repeat(30));
    assert!(refused(&shade(&shadowed)).contains("is too large, or made of one of the same name"));
    for huge in ["array<f32, 4000000000>", "array<array<array<f32, 1000>, 1000>, 1000>", "array<f32, 1u << 28>"] {
        refused(&shade(&format!("const a = {huge}(); return vec4f(a[5]);")));
        refused(&shade(&format!("var a: {huge}; return vec4f(a[5]);")));
    }
}

/// Each turn of each loop takes one from the counter, wherever the loop stands.
#[test]
fn every_loop_counts() {
    let loops = "
        fn f(a: f32) -> f32 { var b = a; loop { b += 1.0; if b > 9.0 { break; } } return b; }
        fn shade(in: ShadeInput) -> vec4f {
            var a = f(in.time);
            for (var i = 0; i < 9; i++) { while a < 5.0 { a += 1.0; } }
            switch i32(a) { case 1: { loop { a += 1.0; continuing { break if a > 7.0; } } } default: {} }
            if a > 1.0 { { for (;;) { if a > 2.0 { break; } } } } else { for (;;) { break; } }
            return vec4f(a);
        }";
    let program = program(loops);
    let fuel = program.module.global_variables.iter().find(|(_, v)| v.name.as_deref() == Some("fuel")).unwrap().0;
    fn count(
        block: &naga::Block,
        found: &mut Vec<bool>,
        function: &naga::Function,
        fuel: naga::Handle<naga::GlobalVariable>,
    ) {
        use naga::{Expression, Statement as S};
        for statement in block {
            match statement {
                S::Loop { body, continuing, .. } => {
                    let S::Store { pointer, .. } = &body[2] else { panic!("the counter is written") };
                    found.push(function.expressions[*pointer] == Expression::GlobalVariable(fuel));
                    assert!(matches!(&body[1], S::If { accept, .. } if matches!(accept[..], [S::Break])));
                    count(body, found, function, fuel);
                    count(continuing, found, function, fuel);
                }
                S::If { accept, reject, .. } => [accept, reject].iter().for_each(|b| count(b, found, function, fuel)),
                S::Block(block) => count(block, found, function, fuel),
                S::Switch { cases, .. } => cases.iter().for_each(|case| count(&case.body, found, function, fuel)),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    program.module.functions.iter().for_each(|(_, f)| count(&f.body, &mut found, f, fuel));
    assert_eq!(found, [true; 6]);
}

#[test]
fn ordinary_programs_are_not_taken_for_bombs() {
    program(
        "struct Ray { o: vec3f, d: vec3f }
        const N = 3;
        const STOPS: array<vec3f, N> = array<vec3f, N>(vec3f(1.0), vec3f(0.5), vec3f(-0.25));
        fn at(ray: Ray, t: f32) -> vec3f { return ray.o + ray.d * t; }
        fn shade(in: ShadeInput) -> vec4f {
            let ray = Ray(vec3f(in.uv, 0.0), vec3f(0.0, 0.0, 1.0));
            let p = ray.o + ray.d; let q = p * p + p * ray.o; let r = q * q + q; let s = r * r + r; let t = s * s + s;
            let u = t * t + t * p; let v = u * u + u; let w = v * v + v; let x = w * w + w + v; let y = x * x + w * x;
            let c = STOPS[u32(y.x) % 3u]; let d = c * c; let e = d * d + d + c; let f = e * e + e * d; let g = f * f + f;
            return vec4f(g + y + at(ray, 2.0), 1.0);
        }",
    );
}

#[test]
fn a_dear_program_turns_less_often() {
    let cheap = program(&shade("return vec4f(0.0);"));
    let dear = program(&shade(&format!("var c = in.time; {} return vec4f(c);", "c=sin(c);".repeat(650))));
    assert!(cheap.fuel() > 10 * dear.fuel());
    for program in [cheap, dear] {
        assert!(u64::from(program.fuel()) * u64::from(program.cost()) <= u64::from(OPERATIONS_MAX));
        assert!(program.fuel() >= OPERATIONS_MAX / COST_MAX);
    }
}

#[test]
fn the_same_code_is_compiled_once() {
    let text = shade("return vec4f(0.125);");
    assert!(Arc::ptr_eq(&program(&text), &program(&text)));
    assert_ne!(program(&text), program(&shade("return vec4f(0.25);")));
}

#[test]
fn names_of_parameters_are_words() {
    for good in ["a", "speed", "glow_2", "tintA"] {
        check_name(good).unwrap();
    }
    for bad in ["", "A", "2a", "a-b", "a__b", "fn", "loop", "a b", "a: f32, b"] {
        check_name(bad).unwrap_err();
    }
}

/// Words, signs and literals in any order.
fn soup() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "fn",
        "shade",
        "(",
        ")",
        "in",
        ":",
        "ShadeInput",
        "->",
        "vec4f",
        "{",
        "}",
        "return",
        ";",
        "let",
        "var",
        "a",
        "b",
        "=",
        "1.0",
        "2",
        "0x7fffffff",
        "4294967295u",
        "loop",
        "for",
        "while",
        "if",
        "else",
        "break",
        "continue",
        "continuing",
        "+",
        "-",
        "*",
        "/",
        "%",
        "<<",
        ">>",
        "<",
        ">",
        "&",
        "|",
        "!",
        "array",
        ",",
        ".",
        "xyzw",
        "[",
        "]",
        "struct",
        "alias",
        "const",
        "switch",
        "case",
        "default",
        "sin",
        "params",
        "speed",
        "in.uv",
        "in.time",
        "f32",
        "i32",
        "mat4x4f",
        "ptr",
        "function",
        "private",
        "const_assert",
        "true",
        "//",
        "/*",
        "*/",
        "\n",
        "é",
        "\u{0}",
        "select",
        "pow",
        "1e38f",
        "0.5h",
        "vec2",
        "_",
    ];
    proptest::collection::vec(proptest::sample::select(WORDS), 0..120).prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the text, there is an answer, and what is accepted is valid.
    #[test]
    fn no_text_brings_the_compiler_down(body in soup(), is_body: bool) {
        let source = if is_body { shade(&format!("{body} return vec4f(0.0);")) } else { format!("{body}\n{}", shade("return vec4f(0.0);")) };
        if let Ok(program) = compile(code(Role::Content, &source)) {
            prop_assert!(validate(program.module(), &source).is_ok());
        }
    }

    /// A good shader with a piece cut out or doubled.
    #[test]
    fn no_damaged_text_brings_the_compiler_down(from in 0..400usize, len in 0..40usize, doubles: bool) {
        let good = "struct S { a: f32, b: array<vec2f, 4> }\nconst K = array<f32, 3>(1.0, 2.0, 3.0);\nvar<private> s: S;\n\
            fn f(p: ptr<function, f32>) -> f32 { *p += K[1]; for (var i = 0u; i < 4u; i++) { s.b[i] += vec2f(*p); } return s.a; }\n\
            fn shade(in: ShadeInput) -> vec4f { var a = in.time; let b = f(&a); if a > b { return params.tint; } return vec4f(s.b[1], a, b); }";
        let (from, to) = (from.min(good.len()), (from + len).min(good.len()));
        let source = if doubles { format!("{}{}", &good[..to], &good[from..]) } else { format!("{}{}", &good[..from], &good[to..]) };
        if let Ok(program) = compile(code(Role::Content, &source)) {
            prop_assert!(validate(program.module(), &source).is_ok());
        }
    }
}
