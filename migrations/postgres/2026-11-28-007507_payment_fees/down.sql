DROP TABLE payment_fees;
