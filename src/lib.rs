//! Kontor, a headless order-management backend: the map of the house.
//!
//! The rooms from the ground up; arrows point down only, and `tests/it/arrows.rs` reads them from the sources.
//!
//! | floor | rooms | what they are |
//! |---|---|---|
//! | ground | [`kernel`] | ids, money, quantities, time, countries, actors: the shared vocabulary, pure |
//! | | [`error`] | one error type, one table of stable codes |
//! | | [`config`] | settings: defaults, file, environment |
//! | | [`db`] | one code path over SQLite and PostgreSQL |
//! | machinery | [`events`] | the ordered log of what happened |
//! | | [`jobs`] | the one durable queue for what happens outside a request |
//! | | [`http`] | requests: credentials, bodies, idempotency, pages, limits, problems |
//! | reference | [`channels`], `catalog`, `customers`, [`pricing`], `stock` | what a shop is, sells, charges and has |
//! | buying | [`stored_value`], [`credit`], [`countersign`], [`risk`], `carts`, `payments`, `orders`, `fulfilment`, `checkout`, [`returns`] | from "add to cart" to "delivered" |
//! | around it | [`abandonment`], [`amendments`], [`approvals`], [`back_in_stock`], [`bulk`], `connectors`, [`drafts`], `erasure`, `exports`, `imports`, [`invoices`], [`journal`], `people`, [`processes`], [`quotes`], [`recurring`], [`repricing`], [`templates`], [`warranties`], `whereabouts`, `worklists` | what watches, tells others, proposes, forgets and waits for people |
//! | roof | `doctor`, [`api`], [`process`], [`replay`], [`cli`] | checks everything, mounts everything, runs everything |
//!
//! What never knows what:
//!
//! - The kernel never knows a database, HTTP or a slice.
//! - An error never knows its transport: only [`http`] turns a code into a status line.
//! - The database never knows a slice, and a slice never knows which database it runs on: only `db::dialect` does.
//! - The event log never knows what its events mean, and the job queue never knows what its jobs do.
//! - HTTP never knows a slice: slices bring their routes, [`api`] mounts them.
//! - A `model` never knows SQL or HTTP; it decides, and knows the kernel and other models' types only.
//! - A `store` never knows HTTP, and nobody but its own slice ever knows a `store`.
//! - The pricing engine never knows where its prices, rates and rules are kept.
//! - A cart never knows its order's life: `checkout` knows both, carts and orders never know checkout.
//! - Orders never know fulfilment; fulfilment tells orders what was shipped and delivered.
//! - Payments never know orders' lines; they know amounts.
//! - Connectors never know a store or a slice's tables: an event's payload is a complete document.
//! - Nothing below the roof knows the command line.

pub mod abandonment;
pub mod amendments;
pub mod api;
pub mod approvals;
pub mod back_in_stock;
pub mod bulk;
pub mod carts;
pub mod catalog;
pub mod channels;
pub mod checkout;
pub mod cli;
pub mod config;
pub mod connectors;
pub mod countersign;
pub mod credit;
pub mod customers;
pub mod db;
pub mod doctor;
pub mod drafts;
pub mod erasure;
pub mod error;
pub mod events;
pub mod exports;
pub mod fulfilment;
pub mod http;
pub mod imports;
pub mod invoices;
pub mod jobs;
pub mod journal;
pub mod kernel;
pub mod offers;
pub mod orders;
pub mod payments;
pub mod people;
pub mod pricing;
pub mod process;
pub mod processes;
pub mod quotes;
pub mod recurring;
pub mod replay;
pub mod repricing;
pub mod returns;
pub mod risk;
pub mod stock;
pub mod stored_value;
pub mod templates;
pub mod warranties;
pub mod whereabouts;
pub mod worklists;
