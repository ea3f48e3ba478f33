//! pelton.yaml: reading, validation with positions, JSON Schema.
