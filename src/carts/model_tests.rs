use proptest::prelude::*;

use super::*;

/// Whether nothing happens to a cart any more.
const fn has_ended(state: CartState) -> bool {
    matches!(state, CartState::Completed | CartState::Merged | CartState::Expired)
}

fn cart(state: CartState, problems: Vec<Problem>) -> Cart {
    let at = Instant::from_micros(0);
    Cart {
        id: CartId::new(),
        channel: ChannelId::new(),
        customer: None,
        state,
        version: 1,
        currency: "EUR".parse().unwrap(),
        device: Device::Desktop,
        stage: Stage::Cart,
        order: None,
        active_at: at,
        expires_at: at,
        created_at: at,
        details: CartDetails { problems, ..CartDetails::default() },
    }
}

#[test]
fn an_end_takes_no_command_and_says_where_the_cart_stands() {
    for state in CartState::ALL {
        let taken = CartCommand::ALL.iter().filter(|command| state.apply(**command).is_ok()).count();
        assert_eq!(taken == 0, has_ended(*state), "{state}");
    }
    let refused = CartState::Merged.apply(CartCommand::Claim).unwrap_err();
    assert_eq!(refused.code(), Code::CartNotOpen);
    assert!(refused.to_string().contains("the cart is merged"), "{refused}");
    assert!(mermaid().contains("completing --> completed: complete"));
}

#[test]
fn a_command_leads_to_one_state_wherever_it_is_taken() {
    let to = |command: CartCommand| CartState::ALL.iter().filter_map(move |state| state.apply(command).ok());
    for (command, state) in [
        (CartCommand::Edit, CartState::Open),
        (CartCommand::Freeze, CartState::Frozen),
        (CartCommand::Claim, CartState::Completing),
        (CartCommand::Reopen, CartState::Open),
        (CartCommand::Complete, CartState::Completed),
        (CartCommand::Merge, CartState::Merged),
        (CartCommand::Expire, CartState::Expired),
    ] {
        assert!(to(command).count() > 0 && to(command).all(|found| found == state), "{command}");
    }
}

#[test]
fn what_a_cart_can_be_told_is_what_its_table_takes() {
    let allowed = |cart: &Cart, who: &[CartAction]| -> Vec<&'static str> {
        let possible = cart.possible(who).into_iter();
        possible
            .filter(|action| action.allowed == action.reason.is_none() && action.allowed)
            .map(|a| a.command)
            .collect()
    };
    let told = |state| {
        let cart = cart(state, Vec::new());
        (allowed(&cart, CartAction::OF_SHOPPERS), allowed(&cart, CartAction::OF_STAFF))
    };
    for state in [CartState::Open, CartState::Frozen] {
        assert_eq!(told(state), (vec!["edit", "checkout", "complete", "merge"], vec!["edit", "complete"]), "{state}");
    }
    assert_eq!(told(CartState::Completing), (vec!["complete"], vec!["complete", "give_up_payment"]));
    for state in CartState::ALL.iter().filter(|state| has_ended(**state)) {
        assert_eq!(told(*state), (Vec::new(), Vec::new()), "{state}");
    }
    // What stands in the way of an order stands in the way of these two, and of nothing else.
    let problem = |blocking| Problem {
        code: "cart_empty".into(),
        detail: "there is nothing in the cart".into(),
        pointer: "/lines".into(),
        blocking,
    };
    let blocked = cart(CartState::Open, vec![problem(false), problem(true)]);
    assert_eq!(allowed(&blocked, CartAction::OF_SHOPPERS), ["edit", "merge"]);
    let reasons: Vec<_> = blocked.possible(CartAction::OF_SHOPPERS).into_iter().filter_map(|one| one.reason).collect();
    assert!(reasons.iter().all(|reason| reason.contains("there is nothing in the cart")), "{reasons:?}");
    let warned = cart(CartState::Open, vec![problem(false)]);
    assert_eq!(allowed(&warned, CartAction::OF_SHOPPERS).len(), 4);
    // Who is asked about a payment that has begun is not told of it.
    assert_eq!(allowed(&cart(CartState::Completing, vec![problem(true)]), CartAction::OF_SHOPPERS), ["complete"]);
}

proptest! {
    /// However commands follow each other: an end is an end, only what is being paid becomes an order, and what is being
    /// paid is not changed, merged or left to expire by anybody.
    #[test]
    fn no_sequence_of_commands_makes_an_order_of_what_was_not_paid(
        picks in prop::collection::vec(0..CartCommand::ALL.len(), 0..40)
    ) {
        let (mut state, mut paying) = (CartState::Open, false);
        for pick in picks {
            let command = CartCommand::ALL[pick];
            let Ok(next) = state.apply(command) else { continue };
            prop_assert!(!has_ended(state), "{} takes {}", state, command);
            match command {
                CartCommand::Claim => paying = true,
                CartCommand::Reopen => {
                    prop_assert!(paying, "nothing was being paid");
                    paying = false;
                }
                CartCommand::Complete => prop_assert!(paying, "an order without a payment"),
                CartCommand::Edit | CartCommand::Freeze | CartCommand::Merge | CartCommand::Expire => {
                    prop_assert!(!paying, "{} while it is being paid", command);
                }
            }
            prop_assert_eq!(next == CartState::Completing, paying && next != CartState::Completed);
            // A change thaws: prices are kept from the freezing to the next command only.
            prop_assert_eq!(next == CartState::Frozen, command == CartCommand::Freeze);
            state = next;
        }
    }
}
