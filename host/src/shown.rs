//! What a node shows to people, of its streams and of the cluster.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;

use crate::diagnostics::DiagnosticsConfig;
use crate::history::Histories;
use crate::http::admin::AdminContext;
use crate::http::cluster::{ClusterParts, ClusterShared, OwnNode, Reporter, ReporterParts};
use crate::http::ingest::{Ingest, Standard};
use crate::http::peer as peer_routes;
use crate::http::peer_context::{PeerContext, PeerParts};
use crate::http::tail::TailContext;
use crate::http::{People, people};
use crate::peer::{LeaderClient, Secret};
use crate::stream::{NodeAccess, Streams};
use sluice_access::Access;
use sluice_consul as consul;
use sluice_delivery::metrics::Metrics;

/// What a node shows of its streams and of the cluster.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) histories: Arc<Histories>,
    own: Arc<OwnNode>,
    page: Arc<ClusterShared>,
    watched: Arc<TailContext>,
    rights: Arc<Access>,
    metrics: Arc<Metrics>,
    reporter: Arc<Reporter>,
}

/// What it is put together from.
#[derive(Debug)]
pub(crate) struct ShownParts<'a> {
    pub(crate) access: &'a NodeAccess,
    /// Who may see it.
    pub(crate) rights: Arc<Access>,
    /// The cluster's name.
    pub(crate) cluster: &'a str,
    pub(crate) consul: &'a consul::Client,
    pub(crate) streams: Streams,
    pub(crate) leaders: Arc<LeaderClient>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) diagnostics: DiagnosticsConfig,
}

impl Shown {
    pub(crate) fn of(parts: ShownParts<'_>) -> Self {
        let ShownParts {
            access,
            rights,
            cluster,
            consul,
            streams,
            leaders,
            metrics,
            diagnostics,
        } = parts;
        let node = &access.node;
        let own = Arc::new(OwnNode::new(node.clone(), streams.clone()));
        let histories = Arc::new(Histories::new(node.clone(), &streams));
        let reporter = Arc::new(Reporter::new(ReporterParts {
            own: Arc::clone(&own),
            histories: Arc::clone(&histories),
            metrics: Arc::clone(&metrics),
            consul: consul.clone(),
            config: diagnostics,
        }));
        Self {
            histories: Arc::clone(&histories),
            page: ClusterShared::new(ClusterParts {
                cluster: cluster.to_owned(),
                own: Arc::clone(&own),
                histories,
                controls: access.controls.clone(),
                consul: consul.clone(),
                nodes: Arc::clone(&leaders),
                reporter: Arc::clone(&reporter),
                access: Arc::clone(&rights),
            }),
            own,
            watched: TailContext::new(node.clone(), leaders, streams, Arc::clone(&rights)),
            rights,
            metrics,
            reporter,
        }
    }

    /// The routes for people.
    pub(crate) fn people(&self) -> People {
        let admin = AdminContext {
            node: self.own.node.clone(),
            streams: self.own.streams.clone(),
            metrics: Arc::clone(&self.metrics),
            access: Arc::clone(&self.rights),
            histories: Arc::clone(&self.histories),
        };
        let (page, watched) = (Arc::clone(&self.page), Arc::clone(&self.watched));
        people(Arc::new(admin), page, watched)
    }

    /// The routes for other nodes, which show their people the same.
    pub(crate) fn peer_routes(
        &self,
        secret: watch::Receiver<Option<Secret>>,
        ingest: &Arc<Ingest>,
        standard: &Arc<Standard>,
    ) -> Router {
        let context = PeerContext::new(PeerParts {
            own: Arc::clone(&self.own),
            secret,
            ingest: Arc::clone(ingest),
            standard: Arc::clone(standard),
            histories: Arc::clone(&self.histories),
            watched: Arc::clone(&self.watched),
            reporter: Arc::clone(&self.reporter),
        });
        peer_routes::router(Arc::new(context))
    }
}
