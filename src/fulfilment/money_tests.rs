use proptest::prelude::*;

use super::*;
use crate::pricing::engine::share;

/// An order of lines (quantity, gross) with shipping, on which a test ships, cancels, returns and lets jobs end.
#[derive(Debug)]
struct Model {
    lines: Vec<(i64, i64)>,
    shipping: i64,
    shipped: Vec<i64>,
    cancelled: Vec<i64>,
    returned: Vec<i64>,
    standing: Standing,
    refunded: i64,
    authorised: i64,
    voided: bool,
}

impl Model {
    fn new(lines: Vec<(i64, i64)>, shipping: i64) -> Self {
        let total = lines.iter().map(|(_, gross)| gross).sum::<i64>() + shipping;
        let none = vec![0; lines.len()];
        Self {
            shipping,
            shipped: none.clone(),
            cancelled: none.clone(),
            returned: none,
            standing: Standing { receivable: total, open: true, ..Standing::default() },
            refunded: 0,
            authorised: total,
            voided: false,
            lines,
        }
    }

    fn open(&self, line: usize) -> i64 {
        self.lines[line].0 - self.shipped[line] - self.cancelled[line]
    }

    fn part(&self, line: usize, from: i64, to: i64) -> i64 {
        share(self.lines[line].1, from, to, self.lines[line].0)
    }

    fn due(&self) -> i64 {
        let kept = |line: usize| self.lines[line].0 - self.cancelled[line];
        let all = 0..self.lines.len();
        let goods: i64 = all.clone().map(|line| self.part(line, 0, kept(line))).sum();
        if all.clone().any(|line| kept(line) > 0) { goods + self.shipping } else { 0 }
    }

    fn settle(&mut self) {
        let all = 0..self.lines.len();
        let goods: i64 = all.clone().map(|line| self.part(line, 0, self.shipped[line])).sum();
        let any = all.clone().any(|line| self.shipped[line] > 0);
        self.standing.open = all.clone().any(|line| self.open(line) > 0);
        self.standing.earned = match (self.standing.open, any) {
            (false, _) => self.due(),
            (true, false) => 0,
            (true, true) => goods + self.shipping,
        };
        let moves = self.standing.moves();
        let refundable = self.standing.captured - self.refunded - self.standing.refund_pending;
        self.standing.capture_pending += moves.capture;
        self.standing.refund_pending += moves.refund.min(refundable);
        assert!(self.standing.captured + self.standing.capture_pending <= self.authorised);
        assert!(!self.voided || moves.capture == 0, "nothing is captured after the promise was let go");
        self.voided |= moves.void;
    }

    fn ship(&mut self, line: usize, pieces: i64) {
        self.shipped[line] += pieces.min(self.open(line));
        self.settle();
    }

    fn cancel(&mut self, line: usize, pieces: i64) {
        let before = self.due();
        self.cancelled[line] += pieces.min(self.open(line));
        self.standing.receivable -= before - self.due();
        self.settle();
    }

    fn take_back(&mut self, line: usize, pieces: i64) {
        let from = self.returned[line];
        let to = (from + pieces).min(self.shipped[line]);
        self.standing.receivable -= self.part(line, from, to);
        self.returned[line] = to;
        self.settle();
    }

    fn end_jobs(&mut self) {
        while self.standing.capture_pending + self.standing.refund_pending > 0 {
            let captured = std::mem::take(&mut self.standing.capture_pending);
            let refunded = std::mem::take(&mut self.standing.refund_pending);
            self.standing.captured += captured;
            self.refunded += refunded;
            self.standing.receivable += refunded - captured;
            self.settle();
        }
    }
}

proptest! {
    /// However an order is shipped, cancelled and taken back, and however late the providers answer: in the end exactly
    /// what was kept has been paid for, nothing was captured that was not owed, and no refund exceeds what was captured.
    #[test]
    fn the_money_follows_the_goods(
        lines in prop::collection::vec((1i64..6, 0i64..5000), 1..4),
        shipping in 0i64..900,
        steps in prop::collection::vec((0u8..4, 0usize..3, 1i64..4), 0..30),
    ) {
        let mut order = Model::new(lines, shipping);
        for (what, line, pieces) in steps {
            let line = line % order.lines.len();
            match what {
                0 => order.ship(line, pieces),
                1 => order.cancel(line, pieces),
                2 => order.take_back(line, pieces),
                _ => order.end_jobs(),
            }
        }
        for line in 0..order.lines.len() {
            order.ship(line, 1);
            order.cancel(line, i64::MAX / 4);
        }
        order.end_jobs();
        let credited: i64 = (0..order.lines.len()).map(|line| order.part(line, 0, order.returned[line])).sum();
        prop_assert_eq!(order.standing.receivable, 0);
        prop_assert_eq!(order.standing.captured - order.refunded, order.due() - credited);
        prop_assert!(order.refunded <= order.standing.captured);
        prop_assert!(order.voided, "what is left of the promise is let go");
    }
}
