//! What `cargo xtask bench` times: one operation a call, so that the caller holds the clock.

use crate::exchange::{self, Provider};
use privacyai::envelope::{
    frame::{Frame, MAX_DATA},
    prompt::{Request, SealedRequest, seal_request},
    response::{Accept, ClientSession},
};

/// A finished exchange, whose steps are taken again and again.
#[derive(Debug)]
pub struct Timing {
    provider: Provider,
    sealed: SealedRequest,
    session: ClientSession,
    frame: Frame,
}

fn text(error: privacyai::error::Error) -> String {
    error.to_string()
}

impl Timing {
    /// Goes through an exchange once.
    ///
    /// # Errors
    /// None, unless the protocol is broken.
    pub fn prepare() -> Result<Timing, String> {
        let provider = Provider::derive(1);
        let sealed = exchange::request(&provider)?;
        let request = Request::decode(&sealed.payload).map_err(text)?;
        let mut context = provider.prekey.decapsulate(&request, &provider.id, &provider.bhash()).map_err(text)?;
        let opened = context.open(&request).map_err(text)?;
        let answering = opened.keys.respond(&mut exchange::rng(21)).map_err(text)?;
        let accept =
            answering.seal_accept(0, &Accept::Accepted { estimate_s: 1 }, &mut exchange::rng(22)).map_err(text)?;
        let (_, session) = sealed.keys.open_accept(0, &accept).map_err(text)?;
        let frame = answering.seal_frame(1, 0, 0, &[7; MAX_DATA], &mut exchange::rng(23)).map_err(text)?;
        Ok(Self { provider, sealed, session, frame })
    }

    /// The browser's part before a question leaves: pads and seals it.
    ///
    /// # Errors
    /// None, unless the protocol is broken.
    pub fn seal(&self) -> Result<usize, String> {
        let sealed = seal_request(&self.provider.target(), &exchange::body(), &mut exchange::rng(20)).map_err(text)?;
        Ok(sealed.payload.len())
    }

    /// The worker's part before a question is inferred: opens it and makes the keys of the answer.
    ///
    /// # Errors
    /// None, unless the protocol is broken.
    pub fn open(&self) -> Result<(), String> {
        let request = Request::decode(&self.sealed.payload).map_err(text)?;
        let bhash = self.provider.bhash();
        let mut context = self.provider.prekey.decapsulate(&request, &self.provider.id, &bhash).map_err(text)?;
        let opened = context.open(&request).map_err(text)?;
        opened.keys.respond(&mut exchange::rng(21)).map_err(text).map(drop)
    }

    /// The browser's part for each frame of an answer.
    ///
    /// # Errors
    /// None, unless the protocol is broken.
    pub fn open_frame(&self) -> Result<usize, String> {
        Ok(self.session.open_frame(1, 0, &self.frame).map_err(text)?.data.len())
    }
}

#[cfg(target_arch = "wasm32")]
thread_local! {
    static TIMING: Result<Timing, String> = Timing::prepare();
}

/// [`Timing::seal`] for Node.
///
/// # Errors
/// As there.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn time_seal() -> Result<u32, String> {
    TIMING.with(|timing| timing.as_ref().map_err(Clone::clone)?.seal().map(|len| len as u32))
}

/// [`Timing::open_frame`] for Node.
///
/// # Errors
/// As there.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn time_open_frame() -> Result<u32, String> {
    TIMING.with(|timing| timing.as_ref().map_err(Clone::clone)?.open_frame().map(|len| len as u32))
}
