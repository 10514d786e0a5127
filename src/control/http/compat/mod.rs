//! Statistics in the shape of other servers: nginx-rtmp's as XML, and the streams and the machine
//! as Node-Media-Server shows them.

mod entries;
mod machine;
mod nginx;
mod nms;
mod routes;

pub(super) use self::routes::routes;
