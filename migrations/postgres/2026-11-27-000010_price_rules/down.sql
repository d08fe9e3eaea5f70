DROP TABLE price_rule_days;
DROP TABLE price_proposals;
DROP TABLE price_rules;
