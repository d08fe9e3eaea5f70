DROP INDEX carts_guest_email;
