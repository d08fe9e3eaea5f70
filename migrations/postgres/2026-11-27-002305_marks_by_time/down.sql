DROP INDEX tracking_marks_passing;
