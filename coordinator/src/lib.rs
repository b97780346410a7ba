//! Accepts grids, splits them into cells, leases them to nodes, keeps the truth.

pub mod s3;
