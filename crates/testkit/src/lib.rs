//! Fakes, backends and the conformance suite. A development dependency only.
