-- SQLite does not compress; the name stands here because both databases count the same migrations.
SELECT 1;
