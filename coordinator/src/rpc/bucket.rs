//! The way to the bucket for those who have no keys to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use atelier_gallery::keys::{GridKeys, Place};
use atelier_gallery::signed::{Right, WANTED_MAX, Wanted};
use atelier_proto::ids::{CellId, Digest, GridId, NodeId};
use atelier_proto::v1;
use atelier_proto::v1::bucket_server::Bucket;
use tonic::{Request, Response, Status};
use tracing::Span;
use tracing::field::display;

use super::status::RpcError;
use super::{Context, admitted, charge, convert, turn};
use crate::domain::access::Caller;
use crate::domain::cell::Cell;
use crate::domain::field::check_count;
use crate::domain::lease::Holder;
use crate::domain::rights::{self, Denied};
use crate::scope;
use crate::store::StoreError;

/// The `Bucket` service.
#[derive(Debug)]
pub(super) struct BucketService {
    context: Context,
}

/// What was looked up for one call.
#[derive(Default)]
struct Known {
    cells: BTreeMap<CellId, Cell>,
    inputs: HashMap<GridId, HashSet<Digest>>,
    /// Grids that the caller may see.
    seen: HashSet<GridId>,
}

impl BucketService {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn sign_all(
        &self,
        caller: &Caller,
        request: v1::SignRequest,
    ) -> Result<v1::SignResponse, RpcError> {
        check_count("wanted", request.wanted.len(), 1, WANTED_MAX)?;
        let node = match request.node_id.as_str() {
            "" => None,
            id => Some(convert::node_id(id)?),
        };
        let wanted = convert::wanted(request.wanted)?;
        let known = self.look_up(caller, node, &wanted).await?;
        for wanted in &wanted {
            rights::check_duration(caller, wanted, self.context.url_duration)?;
            self.check(caller, node, wanted, &known).await?;
        }
        let signatures = self.context.signer.signatures(&wanted).await?;
        Ok(convert::signatures(signatures))
    }

    /// The cells, in one look at them, and the grids that requests are about.
    async fn look_up(
        &self,
        caller: &Caller,
        node: Option<NodeId>,
        wanted: &[Wanted],
    ) -> Result<Known, RpcError> {
        let ledger = &self.context.ledger;
        let mut known = Known::default();
        let mut ids = BTreeSet::new();
        for wanted in wanted {
            let seen = match wanted.right {
                Right::Cell { cell, .. } => {
                    ids.insert(cell);
                    continue;
                }
                Right::Grid(grid) => grid,
                Right::Own => match Place::of(&wanted.key) {
                    Some(Place::Gallery(grid)) => grid,
                    _ => continue,
                },
            };
            if known.seen.insert(seen) {
                scope::own(ledger, seen, caller).await?;
            }
        }
        if !ids.is_empty() {
            if let Some(node) = node {
                Span::current().record("node", display(node));
                ledger.node_seen(node, caller).await?;
            }
            known.cells = ledger.store().cells(&ids).await?;
        }
        for wanted in wanted {
            if let (Right::Grid(grid), Some(Place::Input(_))) =
                (wanted.right, Place::of(&wanted.key))
                && !known.inputs.contains_key(&grid)
            {
                let inputs = ledger.facts(grid).await?.spec.inputs();
                let inputs = inputs.into_iter().map(|(digest, _)| digest);
                known.inputs.insert(grid, inputs.collect());
            }
        }
        Ok(known)
    }

    async fn check(
        &self,
        caller: &Caller,
        node: Option<NodeId>,
        wanted: &Wanted,
        known: &Known,
    ) -> Result<(), RpcError> {
        match wanted.right {
            Right::Cell { cell: id, attempt } => {
                let unknown = || StoreError::UnknownCell(id);
                let cell = known.cells.get(&id).ok_or_else(unknown)?;
                let node = node.ok_or_else(|| convert::missing("node_id"))?;
                let facts = self.context.ledger.facts(id.grid).await?;
                let holder = Holder { node, attempt };
                rights::of_cell(caller, wanted, &facts, id.place, cell, holder)?;
            }
            Right::Grid(grid) => {
                // Whoever may see one grid sees no other one by that.
                if let Some(Place::Gallery(other)) = Place::of(&wanted.key)
                    && other != grid
                {
                    return Err(Denied::foreign(wanted).into());
                }
                let nothing = HashSet::new();
                let inputs = known.inputs.get(&grid).unwrap_or(&nothing);
                rights::of_grid(caller, wanted, inputs)?;
            }
            Right::Own => match Place::of(&wanted.key) {
                Some(Place::Gallery(_)) => rights::of_grid(caller, wanted, &HashSet::new())?,
                _ => rights::own(caller, wanted)?,
            },
        }
        Ok(())
    }

    async fn page(
        &self,
        caller: &Caller,
        request: &v1::ListObjectsRequest,
    ) -> Result<v1::ListObjectsResponse, RpcError> {
        let grid = convert::grid_id(&request.grid_id)?;
        Span::current().record("grid", display(grid));
        let (objects_max, after) = convert::objects_page(request)?;
        scope::own(&self.context.ledger, grid, caller).await?;
        let prefix = GridKeys::new(grid).prefix();
        let after = match after {
            "" => String::new(),
            path => format!("{prefix}{path}"),
        };
        let bucket = &self.context.bucket;
        let (objects, has_more) = bucket.page(&prefix, &after, objects_max).await?;
        Ok(convert::objects(&prefix, objects, has_more))
    }
}

#[tonic::async_trait]
impl Bucket for BucketService {
    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        let caller = admitted(&request)?.caller;
        let signed = self.sign_all(&caller, request.into_inner()).await?;
        Ok(Response::new(signed))
    }

    async fn list_objects(
        &self,
        request: Request<v1::ListObjectsRequest>,
    ) -> Result<Response<v1::ListObjectsResponse>, Status> {
        let caller = admitted(&request)?.caller;
        let page = self.page(&caller, request.get_ref()).await?;
        charge(turn(&request).as_ref(), page.objects.len());
        Ok(Response::new(page))
    }
}
