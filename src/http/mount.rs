//! Where slices put their routes: on a server, or into a document that tells of them.

use actix_web::{dev::HttpServiceFactory, web};
use utoipa::openapi::{Components, InfoBuilder, OpenApi, OpenApiBuilder, Paths, RefOr, path::PathsMap, schema::Schema};
use utoipa_actix_web::OpenApiFactory;

/// What the routes of a surface are given to. A server mounts them once for each of its workers; what they tell of themselves,
/// which takes longer and more memory than all the rest of a start, is asked for only where a document is made of it.
pub enum Mount<'a> {
    /// A server's own.
    Served(&'a mut web::ServiceConfig),
    /// What a document is made of.
    Told(&'a mut Told),
}

impl Mount<'_> {
    /// Puts a route there.
    pub fn service<F: HttpServiceFactory + OpenApiFactory + 'static>(&mut self, route: F) -> &mut Self {
        match self {
            Self::Served(config) => {
                config.service(route);
            }
            Self::Told(told) => {
                told.paths.merge(route.paths());
                route.schemas(&mut told.schemas);
            }
        }
        self
    }

    /// Gives the routes something at hand.
    pub fn app_data<T: 'static>(&mut self, data: T) -> &mut Self {
        if let Self::Served(config) = self {
            config.app_data(data);
        }
        self
    }
}

/// What routes tell of themselves.
#[derive(Default)]
pub struct Told {
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
}

impl Told {
    /// The routes under a prefix, as a bare document.
    #[must_use]
    pub fn under(self, prefix: &str) -> OpenApi {
        let prefixed = |(path, item)| (format!("{prefix}{path}"), item);
        let mut paths = self.paths;
        paths.paths = paths.paths.into_iter().map(prefixed).collect::<PathsMap<_, _>>();
        let mut components = Components::new();
        components.schemas.extend(self.schemas);
        OpenApiBuilder::new().info(InfoBuilder::new().build()).paths(paths).components(Some(components)).build()
    }
}
