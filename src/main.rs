//! The `stream-manager` program: a thin shell around the library.

mod app;

fn main() -> std::process::ExitCode {
    app::main()
}
