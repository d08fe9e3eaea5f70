-- What was heard of parcels on their way is dropped after a while; how it ended stays.
CREATE INDEX tracking_marks_passing ON tracking_marks (at)
WHERE mark NOT IN ('delivered', 'lost', 'returned_to_sender');
