//! Simulated worlds in which the election and its driver are tried against
//! random orders of events: several nodes, Consul, messages that are late, lost
//! or repeated, nodes that are frozen or killed, clocks that differ, keys that
//! are changed by hand.
//!
//! The nodes run the driver of the product. Consul is the store of the embedded
//! coordinator. The world only plays the time, the network, the disks and the
//! data side.
//!
//! Everything follows from a seed. `SEED=… cargo test -p sluice-leadership
//! --lib any_order` repeats one world and prints what happened in it;
//! `SLUICE_SIMULATION_WORLDS` sets the number of worlds that are tried.

mod checker;
mod clock;
mod consul;
mod data_side;
mod ended;
mod faults;
mod happening;
mod interference;
mod network;
mod node;
mod process;
mod question;
mod running;
mod seam;
mod tests;
mod without;
mod world;

pub(crate) use interference::Interference;
pub(crate) use seam::{SimulatedAllies, SimulatedClock, SimulatedCoordination, SimulatedDisk};
