//! Pelton's HTTP listener: health, metrics, status.
