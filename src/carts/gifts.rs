//! Lines that promotions give: pricing puts them onto the cart and takes them off it, nobody else.
//!
//! They stand behind the other lines. As long as a promotion gives the same article its line keeps its number.

use std::collections::HashMap;

use super::{
    bundles,
    model::{Cart, CartDetails, CartLine},
    pricing::Context,
};
use crate::{
    catalog::{self, Variant, VariantStatus},
    db::Tx,
    error::{Code, Error, Result},
    kernel::{
        Id, Per, Quantity,
        ids::{CartId, CartLineId, PromotionId, VariantId},
    },
    pricing::{GiftGoods, GiftRequest, Given, QuoteRequest, model::Step},
    stock::{self, Market, Selling},
};

/// What promotions may give to a cart, before it is known what they do.
#[derive(Debug, Default)]
pub(super) struct Gifts {
    /// The lines that they gave when it was last priced.
    before: Vec<CartLine>,
    /// The promotions with the SKUs of their goods.
    wanted: Vec<(PromotionId, String)>,
}

/// Takes the lines that promotions have given off the cart.
pub(super) fn take_off(cart: &mut Cart) -> Vec<CartLine> {
    let lines = std::mem::take(&mut cart.details.lines);
    let (gifts, own) = lines.into_iter().partition(|line| line.gift_of.is_some());
    cart.details.lines = own;
    gifts
}

impl Gifts {
    /// What is in question. `request` is for the cart, its lines need not be in it. `variants` gets those of the goods: one statement
    /// where promotions give any, and one more where a bundle is among them.
    pub(super) fn read(
        tx: &mut Tx,
        context: &Context,
        before: Vec<CartLine>,
        request: &QuoteRequest<'_>,
    ) -> Result<(Self, Vec<Variant>)> {
        if !context.rules.give_goods(request) {
            return Ok((Self { before, wanted: Vec::new() }, Vec::new()));
        }
        let wanted = context.rules.goods_in_question(request);
        let skus: Vec<String> = wanted.iter().map(|(_, sku)| sku.clone()).collect();
        let mut variants = if skus.is_empty() { Vec::new() } else { catalog::by_skus(tx, &skus)? };
        let parts = catalog::with_components(tx, &mut variants)?;
        variants.extend(parts);
        Ok((Self { before, wanted }, variants))
    }

    /// Whether any is in question.
    pub(super) fn any(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// What may be given beside the cart's lines, where so much is `available`.
    pub(super) fn requests<'a>(
        &self,
        cart: &Cart,
        variants: &'a HashMap<VariantId, Variant>,
        available: &HashMap<VariantId, i64>,
    ) -> Vec<GiftRequest<'a>> {
        let by_sku: HashMap<&str, &Variant> =
            variants.values().map(|variant| (variant.sku.as_str(), variant)).collect();
        let request = |(fresh, (promotion, sku)): (i32, &(PromotionId, String))| {
            let sold = by_sku.get(sku.as_str()).copied().filter(|variant| variant.status == VariantStatus::Active);
            let goods = match sold {
                _ if cart.details.declined_gifts.contains(promotion) => {
                    Err(Step::new("gift_declined", "the buyer does without it"))
                }
                None => Err(GiftGoods::not_sold(sku)),
                Some(variant) => {
                    let line_no = self.line_of(*promotion, variant.id).map_or(fresh, |line| line.line_no);
                    Ok(GiftGoods::of(variant, line_no, bundles::beside(cart, variant, (&by_sku, available))))
                }
            };
            GiftRequest { promotion: *promotion, goods }
        };
        (cart.details.next_line_no..).zip(&self.wanted).map(request).collect()
    }

    fn line_of(&self, promotion: PromotionId, variant: VariantId) -> Option<&CartLine> {
        self.before.iter().find(|line| line.gift_of == Some(promotion) && line.variant_id == variant)
    }

    /// Puts what is given onto the cart.
    pub(super) fn put_on(&self, cart: &mut Cart, variants: &HashMap<VariantId, Variant>, given: &[Given]) {
        for gift in given {
            let Some(variant) = variants.get(&gift.variant_id) else { continue };
            cart.details.next_line_no = cart.details.next_line_no.max(gift.line_no.saturating_add(1));
            cart.details.lines.push(CartLine {
                id: line_id(cart.id, gift.line_no),
                line_no: gift.line_no,
                variant_id: variant.id,
                sku: variant.sku.clone(),
                name: variant.name.clone(),
                quantity: gift.quantity,
                agreed_price: None,
                agreed_per: Per::ONE,
                prior_price: None,
                prior_per: Per::ONE,
                reduction_percent: None,
                gift_of: Some(gift.promotion),
                components: Vec::new(),
                metadata: serde_json::Map::new(),
            });
        }
    }
}

/// The id of a line that is given. It follows from the cart and the number, so that pricing, which may run again, makes up none.
fn line_id(cart: CartId, line_no: i32) -> CartLineId {
    let mut bytes = *cart.bytes();
    for (byte, own) in bytes.iter_mut().rev().zip(line_no.to_le_bytes()) {
        *byte ^= own;
    }
    Id::from_bytes(bytes)
}

/// What is there for a cart of these variants, what it holds itself included: one statement, two where it holds some.
pub(super) fn there_for(
    tx: &mut Tx,
    cart: &Cart,
    variants: &HashMap<VariantId, Variant>,
    to: (Selling, Market<'_>),
) -> Result<HashMap<VariantId, i64>> {
    let mut available = stock::availability(tx, variants.values(), to)?;
    if cart.details.frozen_until.is_some() {
        for (variant, held) in stock::held(tx, cart.id)? {
            *available.entry(variant).or_default() += held;
        }
    }
    Ok(available)
}

/// Whether the line at a place is a gift: its buyer does without it from now on, where that is what they say.
///
/// # Errors
/// `invalid_value` for another quantity than none.
pub(super) fn declined(cart: &mut Cart, place: usize, quantity: Quantity) -> Result<bool> {
    let Some(promotion) = cart.details.lines.get(place).and_then(|line| line.gift_of) else { return Ok(false) };
    if !quantity.is_zero() {
        let detail = "a promotion gives this line, and says how many: 0 does without it, a line of your own buys more";
        return Err(Error::invalid("/quantity", detail));
    }
    if !cart.details.declined_gifts.contains(&promotion) {
        cart.details.declined_gifts.push(promotion);
    }
    Ok(true)
}

/// The code of a promotion whose gift was on the cart, and is not there any more, is another article, or smaller.
pub(crate) fn lost_gift<'c>(before: &'c CartDetails, now: &CartDetails) -> Option<&'c str> {
    let same = |was: &CartLine, is: &CartLine| (was.gift_of, was.variant_id) == (is.gift_of, is.variant_id);
    let kept = |was: &CartLine| now.lines.iter().any(|is| same(was, is) && is.quantity >= was.quantity);
    let gone = before.lines.iter().find(|line| line.gift_of.is_some() && !kept(line))?;
    let mut shown = before.totals.iter().flat_map(|totals| &totals.promotions);
    shown.find(|applied| Some(applied.promotion_id) == gone.gift_of).map(|applied| applied.code.as_str())
}

/// Somebody else has taken the last of a gift since the cart was priced: it is priced anew, without it.
pub(crate) fn without_gift(cart: &Cart, error: Error) -> Error {
    let Error::Problem(problem) = &error else { return error };
    let mut gifts = cart.details.lines.iter().enumerate().filter(|(_, line)| line.gift_of.is_some());
    let of_gift = gifts.any(|(place, _)| problem.pointer.as_deref() == Some(format!("/lines/{place}").as_str()));
    if of_gift && problem.code == Code::OutOfStock { Error::overtaken("a gift") } else { error }
}
